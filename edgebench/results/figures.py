"""The one table of figures: every column of the report, how it is read and shown. criteria.py says how it is judged.

Tables, CSV, JSON, pandas, the page, the limits and options of `select`, and the guide's tables are built from it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

from edgebench.records.floor import VERDICTS
from edgebench.results import readings
from edgebench.results.columns import Column, Criterion, column
from edgebench.results.context import TestSplit
from edgebench.results.criteria import (
    ACCURACY,
    BALANCED,
    ENERGY,
    FIRST,
    LATENCY,
    LOAD,
    MEMORY,
    P99,
    P999,
    POWER,
    SIZE,
    THROUGHPUT,
)
from edgebench.results.races import Part
from edgebench.results.readings import ms, seconds, watts

# Why a measurement ended, as a table says it under "stopped".
STOPPED: dict[str, str] = {
    "precision": "precise enough", "launches": "as planned", "max_seconds": "time limit", "failed": "failure",
    "interrupted": "Ctrl-C",
}  # fmt: skip


def power_scope(row: Row) -> tuple[str, ...]:
    """What a power figure covers, and whether it is modelled."""
    return tuple(word for word in (row.power_scope, "modelled" * row.power_modelled) if word)


def judged_by(row: Row) -> str:
    """The pictures that an adopted model's accuracy is of, in a sentence; empty for other rows."""
    if not row.adopted or row.deployed_images is None:
        return ""
    return f"the accuracy of {row.model} is that on {row.deployed_images:,} pictures of {row.dataset}"


def beside_fastest(row: Row) -> str | None:
    """Its time beside that of the fastest of its race: "1.12 (1.10–1.14)", and what is not certain."""
    if row.to_fastest is None or row.standing == "fastest":
        return row.standing or None
    doubt = {"tie": " tie", "undecided": " ?"}.get(row.standing, "")
    interval = "" if row.to_fastest_low is None else f" ({row.to_fastest_low:.2f}–{row.to_fastest_high:.2f})"
    return f"{row.to_fastest:.2f}{interval}{doubt}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the report, with its columns in order. None means not measured; it is never shown as 0.

    `called`: the model's name and, beside others of that name, what tells it from them: the dataset, `input_size`,
    `trained_for` or the `network`, the identity of the checkpoint or adopted file that the artifact was made from.
    `adopted`: of a model from elsewhere, where its inputs come from and whose answers count. Where it was not judged by
    pictures, it has no accuracy, and its `dataset` is "adopted:NAME". `score`: what a user's function makes of its
    answers.
    `median_low_ms` to `median_high_ms` and `deployed_low` to `deployed_high` are 95 % intervals: of the median between
    launches, and Wilson's of the accuracy on `deployed_images` test images. Torch, or an adopted model's reference,
    puts the same class first on a share `deployed_agreement` of these. `test_sha256`: of the test images; accuracies
    on others are never compared.
    `judged`: what its precision costs in accuracy at most, on validation pictures; `lost` is that share, with its 95 %
    interval. `network`: the checkpoint or adopted model that its artifact was made from.
    `to_fastest`: its time as a multiple of that of the fastest setting of its `race`, with the 95 % interval;
    `standing` says what is certain. `race_median_ms` is the median that follows from that and the fastest one's.
    `majority_share`: of the most frequent class of them. `balanced_accuracy` is the mean recall of the classes, and
    `lowest_recall` that of the class `lowest_class`; `class_counts` has each class with its test images and how many
    are right: all are the artifact's own. `beside_majority`: its accuracy, or else the checkpoint's, beside always
    answering the most frequent class. `energy_mj`: gross, per inference. Figures of different power scopes are never
    compared. `floor_accuracy`: of the best method without a network, on the checkpoint's test images; `beside_floor`:
    the network is "above" it, "below" it or neither ("unclear"). `precision` is what the runtime reported or, where
    `precision_reported` is false, what it was asked for. `settings`: options of the runtime, and of its environment.
    """

    model: str = column("model", lambda r: r.artifact.model.name, cell=lambda row: row.name)
    called: str = column("", lambda r: "", written=False)
    input_size: str = column("", readings.input_size, written=False)
    trained_for: str = column("", readings.trained_for, written=False)
    parameters_m: float = column("params M", lambda r: r.artifact.model.parameters / 1e6, digits=3, once=True)
    gmacs: float | None = column("GMACs", lambda r: readings.billions(r.artifact.model.macs), digits=3, once=True)
    gflops: float | None = column("GFLOPs", lambda r: readings.billions(r.artifact.model.flops), digits=3, once=True)
    adopted: str = column("adopted", readings.adopted, optional=True, once=True)
    dataset: str = column("dataset", lambda r: readings.split(r).dataset, once=True, shared=True)
    test_images: int | None = column("test images", lambda r: readings.split(r).images, once=True, shared=True)
    test_sha256: str = column(
        "test split", lambda r: readings.split(r).sha256, optional=True, once=True, shared=True,
        cell=lambda row: row.test_sha256[:8],
    )  # fmt: skip
    test_accuracy: float | None = column(
        "test acc.", lambda r: readings.trained(r, lambda made: made.test_accuracy), percent=1, once=True
    )  # fmt: skip
    majority_share: float | None = column(
        "majority", lambda r: readings.in_context(r, "majority_share"), percent=1, optional=True, once=True, shared=True
    )  # fmt: skip
    beside_majority: str = column(
        "to majority", lambda r: readings.in_context(r, "beside_majority") or "", optional=True, once=True, shared=True
    )  # fmt: skip
    floor_accuracy: float | None = column(
        "floor acc.", lambda r: readings.beside_floor(r, "floor_accuracy"), percent=1, optional=True, once=True
    )  # fmt: skip
    beside_floor: str = column(
        "beside floor", lambda r: readings.beside_floor(r, "verdict") or "", optional=True, once=True,
        cell=lambda row: VERDICTS.get(row.beside_floor, ""),
    )  # fmt: skip
    deployed_accuracy: float | None = column(
        "deployed acc.", lambda r: readings.evaluated(r, "accuracy"), percent=1, optional=True, shared=True,
        low="deployed_low", high="deployed_high", criterion=ACCURACY,
    )  # fmt: skip
    deployed_low: float | None = column("", lambda r: readings.accuracy_end(r, 0), shared=True)
    deployed_high: float | None = column("", lambda r: readings.accuracy_end(r, 1), shared=True)
    deployed_images: int | None = column("", lambda r: readings.evaluated(r, "images"), shared=True)
    deployed_agreement: float | None = column("", lambda r: readings.evaluated(r, "agreement"), shared=True)
    balanced_accuracy: float | None = column(
        "balanced acc.", lambda r: readings.deployed(r, "balanced"), percent=1, optional=True, shared=True,
        low="balanced_low", high="balanced_high", criterion=BALANCED,
    )  # fmt: skip
    balanced_low: float | None = column("", lambda r: readings.deployed(r, "balanced_low"), shared=True)
    balanced_high: float | None = column("", lambda r: readings.deployed(r, "balanced_high"), shared=True)
    lowest_recall: float | None = column(
        "lowest recall", lambda r: readings.lowest(r, "share"), optional=True, shared=True,
        cell=lambda row: None if row.lowest_recall is None else f"{row.lowest_recall:.1%} ({row.lowest_class})",
    )  # fmt: skip
    lowest_class: str = column("", lambda r: readings.lowest(r, "name") or "", shared=True)
    class_counts: tuple[tuple[str, int, int], ...] = column("", readings.class_counts, shared=True, written=False)
    judged: str = column("judged", readings.judged, optional=True)
    lost: float | None = column("", lambda r: readings.loss(r, "drop"))
    lost_low: float | None = column("", lambda r: readings.loss(r, "low"))
    lost_high: float | None = column("", lambda r: readings.loss(r, "high"))
    score: str = column("score", readings.score, optional=True)
    scenario: str = column("scenario", lambda r: r.job.scenario, once=True)
    median_ms: float | None = column(
        "median ms", lambda r: readings.latency_ms(r, "median_ns"), unit="ms", digits=3,
        percentile=0.5, low="median_low_ms", high="median_high_ms", criterion=LATENCY,
    )  # fmt: skip
    median_low_ms: float | None = column("", lambda r: readings.median_end_ms(r, 0))
    median_high_ms: float | None = column("", lambda r: readings.median_end_ms(r, 1))
    half_width: float | None = column("±", readings.half_width, percent=1, optional=True)
    to_fastest: float | None = column(
        "× fastest", lambda r: readings.beside_fastest(r, "ratio"), optional=True,
        low="to_fastest_low", high="to_fastest_high", cell=beside_fastest,
    )  # fmt: skip
    to_fastest_low: float | None = column("", lambda r: readings.beside_fastest(r, "low"))
    to_fastest_high: float | None = column("", lambda r: readings.beside_fastest(r, "high"))
    standing: str = column("", lambda r: readings.beside_fastest(r, "standing") or "")
    race: str = column("", lambda r: readings.raced(r, "race", ""))
    race_median_ms: float | None = column("", lambda r: ms(readings.raced(r, "median_ns")), unit="ms")
    race_effects: tuple[float | None, ...] = column("", lambda r: readings.raced(r, "effects", ()), written=False)
    race_settings: int = column("", lambda r: readings.raced(r, "settings", 0), written=False)
    race_scatter: float = column("", lambda r: readings.raced(r, "scatter", 0.0), written=False)
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
    load_s: float | None = column(
        "load s", lambda r: seconds(readings.of_launches(r, "load_ns")), unit="s", digits=3, optional=True,
        criterion=LOAD,
    )  # fmt: skip
    first_ms: float | None = column(
        "first ms", lambda r: ms(readings.of_launches(r, "first_ns")), unit="ms", digits=3, optional=True,
        criterion=FIRST,
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
        "precision", lambda r: readings.effective(r, "precision", None) or r.job.precision, once=True,
        cell=lambda row: row.precision_told,
    )  # fmt: skip
    precision_reported: bool = column("", lambda r: readings.effective(r, "precision", None) is not None)
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
    stop: str = column(
        "stopped", lambda r: r.stop or "", once=True, before="warnings", cell=lambda row: STOPPED.get(row.stop, "")
    )  # fmt: skip
    launches: int = column("", lambda r: len(r.launches))
    requests: int = column("", readings.requests)
    message: str = column("", readings.message)
    created: str = column("", lambda r: r.created)
    artifact: str = column("", lambda r: r.job.artifact)
    network: str = column("", lambda r: r.artifact.origin or r.job.artifact, written=False)
    settings: tuple[str, ...] = column("", readings.settings)
    host: str = column("board", lambda r: r.host, optional=True, once=True, before="compute")
    machine: tuple[str, ...] = column("", readings.machine)
    power_mode: str = column(
        "power mode", lambda r: str(readings.before_first(r).get("nvpmodel") or ""), optional=True, once=True,
        before="compute",
    )  # fmt: skip
    file: str = column("", lambda r: r.file_name)

    @property
    def name(self) -> str:
        """The model's name, told apart from others in the same report."""
        return self.called or self.model

    @property
    def part(self) -> Part | None:
        """Its part in a race."""
        return Part(self.race, self.race_effects, self.race_settings, self.race_scatter) if self.race else None

    @property
    def precision_told(self) -> str:
        """The precision as people read it: with a question mark where the runtime did not report it."""
        return self.precision if self.precision_reported else f"{self.precision}?"


def split_of(row: Row) -> TestSplit:
    """The test images that a row's accuracy is of."""
    return TestSplit(dataset=row.dataset, images=row.test_images, sha256=row.test_sha256)


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
