"""The one table of figures: every column of the report, how it is read, shown and judged, and its limit.

Tables, CSV, JSON, pandas, the page, the limits and options of `select`, and the guide's tables are built from it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgebench.records.jobs import MIN_LAUNCHES
from edgebench.results import readings, store
from edgebench.results.columns import Column, Criterion, Limit, column
from edgebench.results.readings import ms, watts

# Repetitions differ by up to 30 % on a shared machine: without an interval, a median is known no better than that.
UNSURE = 0.3
MEASURE = "edgebench run"
EVALUATE = "edgebench evaluate"
MB = 2**20 / 1e6  # limits are in MB of 10⁶ bytes


def _missing(reason: str, fix: str) -> Callable[[Row], tuple[str, str]]:
    return lambda row: (reason, fix)


def _too_few(name: str, share: float) -> Callable[[Row], tuple[str, str]]:
    """Why a percentile is unknown: too few requests were made, or none."""

    def why(row: Row) -> tuple[str, str]:
        from edgebench.results.stats import min_samples  # it needs numpy, which the options of `select` do without

        if 0 < row.requests < (needed := min_samples(share)):
            return f"{name} needs {needed:,} requests, {row.requests:,} were made", _run_for(row, needed)
        return f"{name} was not measured", MEASURE

    return why


def _run_for(row: Row, needed: int) -> str:
    """The command that makes enough requests, with a fifth to spare."""
    if not (row.throughput_per_s and row.launches):
        return f"{MEASURE} with a longer --duration"
    seconds = math.ceil(1.2 * needed * row.batch / row.throughput_per_s / row.launches)
    asked = {"--runtime": row.runtime, "--scenario": row.scenario, "--batch": row.batch, "--launches": row.launches}
    default = {"--scenario": "latency", "--batch": 1, "--launches": MIN_LAUNCHES}
    options = [f"{option} {value}" for option, value in asked.items() if value != default.get(option)]
    return " ".join([MEASURE, "…", *options, f"--duration {seconds}"])


def _no_power(what: str) -> Callable[[Row], tuple[str, str]]:
    fix = "edgebench run --power auto, where a meter works (edgebench power)"

    def why(row: Row) -> tuple[str, str]:
        return f"{what} is unknown: {row.power_reason}" if row.power_reason else f"{what} was not measured", fix

    return why


def _not_evaluated(row: Row) -> tuple[str, str]:
    known = f"only the checkpoint's {100 * row.test_accuracy:.1f} % in torch"
    return f"its own accuracy on {row.runtime} was not measured, {known}", EVALUATE


def power_scope(row: Row) -> tuple[str, ...]:
    """What a power figure covers, and whether it is modelled."""
    return tuple(word for word in (row.power_scope, "modelled" * row.power_modelled) if word)


LATENCY = Criterion(
    name="latency", title="median latency", unit="ms", kind="speed", better="less", place=1, unsure=UNSURE,
    axis="median latency", missing=_missing("the median was not measured", MEASURE),
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
THROUGHPUT = Criterion(
    name="throughput", unit="images/s", kind="speed", better="more", place=8,
    missing=_missing("throughput was not measured", MEASURE),
    limit=Limit(
        name="min_images_per_s", help="Lower limit of the throughput, in images a second.", unit="images a second",
        place=3,
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the report, with its columns in order. None means not measured; it is never shown as 0.

    `median_low_ms` to `median_high_ms` and `deployed_low` to `deployed_high` are 95 % intervals: of the median between
    launches, and Wilson's of the accuracy on `deployed_images` test images. Torch puts the same class first on a share
    `deployed_agreement` of these. `energy_mj`: gross, per inference. Figures of different power scopes are never
    compared. `floor_accuracy`: of the best method without a network, on the checkpoint's test images; `beside_floor`:
    the network is "above" it, "below" it or neither ("unclear").
    """

    model: str = column("model", lambda r: r.artifact.model.name)
    parameters_m: float = column("params M", lambda r: r.artifact.model.parameters / 1e6, digits=3, once=True)
    gmacs: float = column("GMACs", lambda r: r.artifact.model.macs / 1e9, digits=3, once=True)
    gflops: float = column("GFLOPs", lambda r: r.artifact.model.flops / 1e9, digits=3, once=True)
    test_accuracy: float = column("test acc.", lambda r: r.artifact.training.test_accuracy, percent=1, once=True)
    floor_accuracy: float | None = column(
        "floor acc.", lambda r: readings.beside_floor(r, "floor_accuracy"), percent=1, optional=True, once=True
    )  # fmt: skip
    beside_floor: str = column(
        "to floor", lambda r: readings.beside_floor(r, "verdict") or "", optional=True, once=True
    )  # fmt: skip
    deployed_accuracy: float | None = column(
        "deployed acc.", lambda r: readings.evaluated(r, "accuracy"), percent=1, optional=True, shared=True,
        low="deployed_low", high="deployed_high", criterion=ACCURACY,
    )  # fmt: skip
    deployed_low: float | None = column("", lambda r: readings.accuracy_end(r, 0), shared=True)
    deployed_high: float | None = column("", lambda r: readings.accuracy_end(r, 1), shared=True)
    deployed_images: int | None = column("", lambda r: readings.evaluated(r, "images"), shared=True)
    deployed_agreement: float | None = column("", lambda r: readings.evaluated(r, "torch_agreement"), shared=True)
    scenario: str = column("scenario", lambda r: r.job.scenario, once=True)
    median_ms: float | None = column(
        "median ms", lambda r: readings.latency_ms(r, "median_ns"), unit="ms", digits=3,
        percentile=0.5, low="median_low_ms", high="median_high_ms", criterion=LATENCY,
    )  # fmt: skip
    median_low_ms: float | None = column("", lambda r: readings.median_end_ms(r, 0))
    median_high_ms: float | None = column("", lambda r: readings.median_end_ms(r, 1))
    half_width: float | None = column("±", readings.half_width, percent=1, optional=True)
    p90_ms: float | None = column(
        "p90 ms", lambda r: readings.latency_ms(r, "p90_ns"), unit="ms", digits=3, percentile=0.9
    )  # fmt: skip
    p99_ms: float | None = column(
        "p99 ms", lambda r: readings.latency_ms(r, "p99_ns"), unit="ms", digits=3, percentile=0.99,
        criterion=P99,
    )  # fmt: skip
    p999_ms: float | None = column(
        "p99.9 ms", lambda r: readings.latency_ms(r, "p999_ns"), unit="ms", digits=3, optional=True,
        percentile=0.999, criterion=P999,
    )  # fmt: skip
    device_median_ms: float | None = column(
        "device ms", lambda r: ms(r.summary and r.summary.device_median_ns), unit="ms", digits=3, optional=True
    )  # fmt: skip
    throughput_per_s: float | None = column(
        "images/s", lambda r: readings.figure(r, "throughput_per_s"), unit="images/s", digits=3, criterion=THROUGHPUT
    )  # fmt: skip
    miss_rate: float | None = column("missed", lambda r: readings.camera(r, "miss_rate"), percent=2, optional=True)
    jitter_ms: float | None = column(
        "jitter ms", lambda r: ms(readings.camera(r, "jitter_ns")), unit="ms", digits=2, optional=True
    )  # fmt: skip
    verdict: str = column("verdict", readings.verdict, optional=True)
    model_size_mib: float | None = column(
        "model MiB", lambda r: readings.mib(r.artifact.size_bytes or None), unit="MiB", digits=3, optional=True,
        criterion=SIZE,
    )  # fmt: skip
    peak_memory_mib: float | None = column(
        "peak MiB", lambda r: readings.mib(r.peak_memory_bytes), unit="MiB", digits=3, criterion=MEMORY
    )  # fmt: skip
    gpu_memory_mib: float | None = column(
        "GPU MiB", lambda r: readings.mib(readings.gpu_memory(r)), unit="MiB", digits=3, optional=True
    )  # fmt: skip
    mean_power_w: float | None = column(
        "W", lambda r: watts(readings.energy(r).mean_power_mw), unit="W", digits=3, optional=True, criterion=POWER
    )  # fmt: skip
    idle_power_w: float | None = column("", lambda r: watts(readings.energy(r).idle_power_mw), unit="W")
    energy_mj: float | None = column(
        "mJ/inf.", lambda r: readings.energy(r).mj_per_inference, unit="mJ", digits=3, optional=True, criterion=ENERGY
    )  # fmt: skip
    net_energy_mj: float | None = column("", lambda r: readings.energy(r).net_mj_per_inference, unit="mJ")
    image_energy_mj: float | None = column("", lambda r: readings.energy(r).mj_per_image, unit="mJ")
    power_source: str = column(
        "power by", lambda r: readings.metered(r, "source", ""), optional=True, once=True,
        cell=lambda row: tuple(word for word in (row.power_source, *power_scope(row)) if word),
    )  # fmt: skip
    power_scope: str = column("", lambda r: readings.metered(r, "scope", "") or "", plain=power_scope)
    power_modelled: bool = column("", lambda r: readings.metered(r, "modelled", False), written=False)
    power_reason: str = column("", lambda r: readings.energy(r).reason)
    format: str = column("format", lambda r: r.artifact.format)
    runtime: str = column("runtime", lambda r: r.job.runtime)
    provider: str = column("", lambda r: readings.effective(r, "provider", ""))
    precision: str = column(
        "precision", lambda r: readings.effective(r, "precision", None) or f"{r.job.precision}?", once=True
    )  # fmt: skip
    layers: tuple[tuple[str, float], ...] = column(
        "layer precision", lambda r: readings.layer_shares(r.layers), optional=True, once=True
    )  # fmt: skip
    threads: int | None = column("thr.", lambda r: readings.effective(r, "threads", None), once=True)
    batch: int = column("batch", lambda r: r.job.batch, once=True)
    streams: int = column("in flight", lambda r: r.job.streams, once=True)
    device: str = column("device", lambda r: r.job.device, once=True)
    compute: str = column("compute", lambda r: r.job.compute, once=True)
    evidence: str = column("evidence", lambda r: r.evidence if r.status == "ok" else "", once=True)
    relative_error: float | None = column("", lambda r: r.parity.relative_error if r.parity else None)
    status: str = column("status", lambda r: r.status, once=True)
    warnings: tuple[str, ...] = column(
        "warnings", lambda r: tuple(notice.code for notice in r.notices), optional=True
    )  # fmt: skip
    stop: str = column("stopped", lambda r: r.stop or "", once=True, before="warnings")
    launches: int = column("", lambda r: len(r.launches))
    requests: int = column("", readings.requests)
    message: str = column("", readings.message)
    created: str = column("", lambda r: r.created)
    artifact: str = column("", lambda r: r.job.artifact)
    host: str = column("board", lambda r: r.host, optional=True, once=True, before="compute")
    machine: tuple[str, ...] = column("", readings.machine)
    power_mode: str = column(
        "power mode", lambda r: str(readings.before_first(r).get("nvpmodel") or ""), optional=True, once=True,
        before="compute",
    )  # fmt: skip
    file: str = column("", store.file_name)


COLUMNS = {field.name: replace(field.metadata["column"], name=field.name) for field in dataclasses.fields(Row)}


def _judged() -> dict[str, Criterion]:
    """All columns by name, in order."""
    found = [replace(one.criterion, column=one) for one in COLUMNS.values() if one.criterion]
    return {criterion.name: criterion for criterion in sorted(found, key=lambda criterion: criterion.place)}


def _in_tables() -> tuple[Column, ...]:
    """The columns with a heading, in the order of tables."""
    shown = [one for one in COLUMNS.values() if one.heading]
    for moved in [one for one in shown if one.before]:
        shown.remove(moved)
        shown.insert(shown.index(COLUMNS[moved.before]), moved)
    return tuple(shown)


# The figures that a choice looks at; the limits by name; the percentiles of the latency; the columns for people.
CRITERIA = _judged()
LIMITS = {c.limit.name: c for c in sorted(CRITERIA.values(), key=lambda criterion: criterion.limit.place)}
PERCENTILES = tuple(one for one in COLUMNS.values() if one.percentile)
TABLE = _in_tables()
