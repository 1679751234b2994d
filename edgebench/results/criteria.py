"""How a choice judges each figure of a row (figures.py): its unit, its limit, and why it may be unknown."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from edgebench.results.columns import Criterion, Limit

# Repetitions differ by up to 30 % on a shared machine: without an interval, a median is known no better than that.
UNSURE = 0.3
MEASURE = "edgebench run"
EVALUATE = "edgebench evaluate"
MB = 2**20 / 1e6  # limits are in MB of 10⁶ bytes


def _missing(reason: str, fix: str) -> Callable[[Any], tuple[str, str]]:
    return lambda row: (reason, fix)


def _too_few(name: str, share: float) -> Callable[[Any], tuple[str, str]]:
    """Why a percentile is unknown: too few requests were made, or none."""

    def why(row: Any) -> tuple[str, str]:
        from edgebench.results.stats import min_samples  # it needs numpy, which the options of `select` do without

        if 0 < row.requests < (needed := min_samples(share)):
            return f"{name} needs {needed:,} requests, {row.requests:,} were made", _run_for(row, needed)
        return f"{name} was not measured", MEASURE

    return why


def _run_for(row: Any, needed: int) -> str:
    """The command that makes enough requests, with a fifth to spare."""
    if not (row.throughput_per_s and row.launches):
        return f"{MEASURE} with a longer --duration"
    seconds = math.ceil(1.2 * needed * row.batch / row.throughput_per_s / row.launches)
    asked = {"--runtime": row.runtime, "--scenario": row.scenario, "--batch": row.batch, "--launches": row.launches}
    from edgebench.records.jobs import MIN_LAUNCHES

    default = {"--scenario": "latency", "--batch": 1, "--launches": MIN_LAUNCHES}
    options = [f"{option} {value}" for option, value in asked.items() if value != default.get(option)]
    return " ".join([MEASURE, "…", *options, f"--duration {seconds}"])


def _no_power(what: str) -> Callable[[Any], tuple[str, str]]:
    fix = "edgebench run --power auto, where a meter works (edgebench power)"

    def why(row: Any) -> tuple[str, str]:
        return f"{what} is unknown: {row.power_reason}" if row.power_reason else f"{what} was not measured", fix

    return why


def _not_evaluated(row: Any) -> tuple[str, str]:
    if row.test_accuracy is None:
        judge = "edgebench evaluate ARTIFACT --images FOLDER"
        return "the accuracy of this adopted model is unknown", f"`{judge}`, or choose by --prefer latency"
    known = f"only the checkpoint's {100 * row.test_accuracy:.1f} % in torch"
    return f"its own accuracy on {row.runtime} was not measured, {known}", EVALUATE


def not_counted(row: Any) -> tuple[str, str]:
    """Why the right answers of each class are unknown."""
    if row.deployed_accuracy is None:
        return _not_evaluated(row)
    return "the right answers of each class were not counted", f"{EVALUATE} once more"


LATENCY = Criterion(
    name="latency", title="median latency", unit="ms", kind="speed", better="less", place=1, unsure=UNSURE,
    axis="median latency", raced=True, missing=_missing("the median was not measured", MEASURE),
    limit=Limit(name="max_median_ms", help="Upper limit of the median latency.", unit="milliseconds", place=2),
)  # fmt: skip
P99 = Criterion(
    name="p99", unit="ms", kind="speed", better="less", place=2, tip="p99", missing=_too_few("p99", 0.99),
    limit=Limit(
        name="max_p99_ms", help="Upper limit of the 99th percentile of the latency.", unit="milliseconds", place=1
    ),
)  # fmt: skip
P999 = Criterion(
    name="p99.9", unit="ms", kind="speed", better="less", place=2, tip="p99.9", missing=_too_few("p99.9", 0.999),
    limit=Limit(
        name="max_p999_ms", help="Upper limit of the 99.9th percentile of the latency.", unit="milliseconds", place=1
    ),
)  # fmt: skip
ACCURACY = Criterion(
    name="accuracy", unit="", kind="accuracy", better="more", place=3, missing=_not_evaluated,
    limit=Limit(
        name="min_accuracy", help="Lower limit of the artifact's own accuracy, a share such as 0.9.", unit="a share",
        place=8, most=1.0,
    ),
)  # fmt: skip
BALANCED = Criterion(
    name="balanced accuracy", unit="", kind="accuracy", better="more", place=3, missing=not_counted,
    limit=Limit(
        name="min_balanced_accuracy", help="Lower limit of the mean recall of its classes, a share such as 0.9.",
        unit="a share", place=9, most=1.0,
    ),
)  # fmt: skip
ENERGY = Criterion(
    name="energy", unit="mJ", kind="cost", better="less", place=4, axis="energy of an inference", tip="energy",
    missing=_no_power("energy"),
    limit=Limit(name="max_energy_mj", help="Upper limit of the energy of one inference.", unit="millijoules", place=7),
)  # fmt: skip
POWER = Criterion(
    name="power", unit="W", kind="cost", better="less", place=5, missing=_no_power("power"),
    limit=Limit(name="max_power_w", help="Upper limit of the mean power during inference.", unit="watts", place=6),
)  # fmt: skip
# This limit is about the memory of the process; a discrete GPU has memory of its own.
MEMORY = Criterion(
    name="memory", unit="MB", factor=MB, kind="cost", better="less", place=6, axis="peak memory", tip="peak memory",
    missing=_missing("peak memory could not be read", "see memory.reason in the result"),
    limit=Limit(
        name="max_memory_mb", help="Upper limit of the peak memory, in MB of 10⁶ bytes.", unit="megabytes", place=4
    ),
)  # fmt: skip
SIZE = Criterion(
    name="size", unit="MB", factor=MB, kind="cost", better="less", place=7,
    missing=_missing("the size of the artifact is not recorded", "edgebench export once more"),
    limit=Limit(
        name="max_size_mb", help="Upper limit of the model's files, in MB of 10⁶ bytes.", unit="megabytes", place=5
    ),
)  # fmt: skip
LOAD = Criterion(
    name="load", title="time to load", unit="s", kind="speed", better="less", place=9, unsure=UNSURE,
    missing=_missing("the time to load was not recorded", f"{MEASURE} once more"),
    limit=Limit(
        name="max_load_s", help="Upper limit of the time to load the runtime and open the artifact.", unit="seconds",
        place=10,
    ),
)  # fmt: skip
FIRST = Criterion(
    name="first", title="first inference", unit="ms", kind="speed", better="less", place=9, unsure=UNSURE,
    missing=_missing("the first inference was not recorded", f"{MEASURE} once more"),
    limit=Limit(
        name="max_first_ms", help="Upper limit of the latency of the first inference.", unit="milliseconds", place=11
    ),
)  # fmt: skip
THROUGHPUT = Criterion(
    name="throughput", unit="images/s", kind="speed", better="more", place=8,
    missing=_missing("throughput was not measured", MEASURE),
    limit=Limit(
        name="min_images_per_s", help="Lower limit of the throughput, in images a second.", unit="images a second",
        place=3,
    ),
)  # fmt: skip
