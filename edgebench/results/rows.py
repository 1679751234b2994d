"""From results to the rows of a table: the newest result of each distinct measurement, best known first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.records import digests
from edgebench.records.energy import Energy
from edgebench.records.result import Result
from edgebench.results import stats, store
from edgebench.specs import Layers

NO_ENERGY = Energy()  # of a result from before there were meters, or of a failure


@dataclass(frozen=True)
class Row:
    """One line of the report. None is what was not measured; it is never shown as 0.

    `median_low_ms` to `median_high_ms` and `deployed_low` to `deployed_high` are 95 % intervals: of the median between
    launches, and Wilson's of the accuracy on `deployed_images` test images, for a share `deployed_agreement` of which
    torch puts the same class first. `energy_mj`: gross, of an inference; figures of another `power_scope` are never
    compared.
    """

    model: str
    parameters_m: float
    gmacs: float
    gflops: float
    test_accuracy: float
    deployed_accuracy: float | None
    deployed_low: float | None
    deployed_high: float | None
    deployed_images: int | None
    deployed_agreement: float | None
    scenario: str
    median_ms: float | None
    median_low_ms: float | None
    median_high_ms: float | None
    half_width: float | None
    p90_ms: float | None
    p99_ms: float | None
    device_median_ms: float | None
    throughput_per_s: float | None
    miss_rate: float | None
    jitter_ms: float | None
    verdict: str
    model_size_mib: float | None
    peak_memory_mib: float | None
    gpu_memory_mib: float | None
    mean_power_w: float | None
    idle_power_w: float | None
    energy_mj: float | None
    net_energy_mj: float | None
    image_energy_mj: float | None
    power_source: str
    power_scope: str
    power_reason: str
    format: str
    runtime: str
    provider: str
    precision: str
    layers: str
    threads: int | None
    batch: int
    streams: int
    device: str
    compute: str
    evidence: str
    relative_error: float | None
    status: str
    warnings: str
    stop: str
    launches: int
    requests: int
    message: str
    created: str
    artifact: str
    host: str
    machine: str
    power_mode: str
    file: str

    @property
    def power_by(self) -> str:
        """The meter and what its figure covers: "ina, module", "model, system, modelled"; "" where there is none."""
        return ", ".join(word for word in (self.power_source, self.power_scope) if word)


DEPLOYED = ("deployed_accuracy", "deployed_low", "deployed_high", "deployed_images", "deployed_agreement")


@dataclass(frozen=True)
class Entry:
    """What tables need of one result, by itself. `cell` is alike in repetitions of one measurement, `deployed` in what
    shares an accuracy; an evaluation's row has that accuracy, no other entry's has one."""

    row: Row
    cell: str
    deployed: str


def rows(found: Sequence[Result]) -> list[Row]:
    """A row for each distinct measurement: see `merged`."""
    return merged([entry(result) for result in found])


def entry(result: Result) -> Entry:
    """A result as far as tables need it."""
    return Entry(_row(result), _hash(_cell(result)), _hash(_deployed(result)))


def merged(entries: Sequence[Entry]) -> list[Row]:
    """A row for each distinct measurement, the newest result standing for repetitions of it.

    An evaluation is no row of its own: its accuracy stands in the rows of the same artifact on the same runtime.
    Ordered by evidence first, so that emulated figures never stand among measured ones, then model and latency.
    """
    newest: dict[tuple[str, ...], Entry] = {}
    ordered = sorted(entries, key=lambda entry: entry.row.created)
    judged = {entry.deployed: entry.row for entry in ordered if entry.row.deployed_accuracy is not None}
    # What was cut short stands only where there is nothing whole.
    for entry in sorted(ordered, key=lambda entry: entry.row.stop != "interrupted"):
        if entry.row.scenario == "evaluate":
            continue
        if entry.row.status != "ok":  # a later failure hides no figure: it has its own row
            newest["failed", entry.cell] = entry
            continue
        newest.pop(("failed", entry.cell), None)  # mends what failed before it
        newest["ok", entry.cell, entry.row.machine, entry.row.power_mode] = entry
    made = [_with_accuracy(entry.row, judged.get(entry.deployed)) for entry in newest.values()]
    return sorted(
        made, key=lambda r: (r.evidence != "measured", r.evidence, r.device, r.model, r.median_ms or float("inf"))
    )


def _with_accuracy(row: Row, judged: Row | None) -> Row:
    if judged is None:
        return row
    made = object.__new__(Row)  # `dataclasses.replace` takes a third of a second for ten thousand
    vars(made).update(vars(row), **{name: getattr(judged, name) for name in DEPLOYED})
    return made


def _hash(key: tuple) -> str:
    return digests.of_data(key)[:32]


def _cell(result: Result) -> tuple:
    job = result.job
    options = tuple(sorted(job.options.items()))
    asked = (job.runtime, job.device, job.compute, job.evidence, job.scenario, job.precision, job.threads, options)
    # A search is one measurement, wherever it ends; what it was not free to change is part of what was asked.
    free = [len({(point.batch, point.streams)[i] for point in result.search}) > 1 for i in (0, 1)]
    point = (not free[0] and job.batch, not free[1] and job.streams)
    return (job.artifact, *asked, *point, job.rate_hz, job.deadline_ms)


def _deployed(result: Result) -> tuple:
    """What the accuracy depends on: the artifact and what runs it."""
    job = result.job
    return (job.artifact, job.runtime, job.compute, job.precision, job.device)


def _row(result: Result) -> Row:
    model, summary, effective = result.artifact.model, result.summary, result.effective
    judged = result.evaluation if result.status == "ok" else None
    median_low, median_high = (summary and summary.median_ci95_ns) or (None, None)
    before = result.launches[0].before if result.launches else {}
    camera = summary.camera if summary else None
    told = result.loadgen.figures if result.loadgen else {}
    energy = result.energy or NO_ENERGY
    metered = energy.mean_power_mw is not None
    gpu = [launch.memory.gpu_bytes for launch in result.launches if launch.memory.gpu_bytes is not None]
    return Row(
        model=model.name,
        parameters_m=model.parameters / 1e6,
        gmacs=model.macs / 1e9,
        gflops=model.flops / 1e9,
        test_accuracy=result.artifact.training.test_accuracy,
        deployed_accuracy=judged and judged.accuracy,
        deployed_low=judged and judged.accuracy_ci95[0],
        deployed_high=judged and judged.accuracy_ci95[1],
        deployed_images=judged and judged.images,
        deployed_agreement=judged and judged.torch_agreement,
        scenario=result.job.scenario,
        median_ms=_ms(summary.median_ns if summary else told.get("p50_latency_ns")),
        median_low_ms=_ms(median_low),
        median_high_ms=_ms(median_high),
        half_width=summary and stats.half_width(summary),
        p90_ms=_ms(summary.p90_ns if summary else told.get("p90_latency_ns")),
        p99_ms=_ms(summary.p99_ns if summary else told.get("p99_latency_ns")),
        device_median_ms=_ms(summary and summary.device_median_ns),
        throughput_per_s=summary.throughput_per_s if summary else _loadgen_throughput(told),
        miss_rate=camera and camera.miss_rate,
        jitter_ms=_ms(camera and camera.jitter_ns),
        verdict=_verdict(result),
        model_size_mib=_mib(result.artifact.size_bytes or None),
        peak_memory_mib=_mib(result.peak_memory_bytes),
        gpu_memory_mib=_mib(max(gpu, default=None)),
        mean_power_w=_watts(energy.mean_power_mw),
        idle_power_w=_watts(energy.idle_power_mw),
        energy_mj=energy.mj_per_inference,
        net_energy_mj=energy.net_mj_per_inference,
        image_energy_mj=energy.mj_per_image,
        power_source=energy.source if metered else "",
        power_scope=f"{energy.scope}{', modelled' * energy.modelled}" if metered else "",
        power_reason=energy.reason,
        format=result.artifact.format,
        runtime=result.job.runtime,
        provider=effective.provider if effective else "",
        precision=(effective and effective.precision) or f"{result.job.precision}?",
        layers=layers_in_words(result.layers),
        threads=effective.threads if effective else None,
        batch=result.job.batch,
        streams=result.job.streams,
        device=result.job.device,
        compute=result.job.compute,
        evidence=result.evidence if result.status == "ok" else "",
        relative_error=result.parity.relative_error if result.parity else None,
        status=result.status,
        warnings=", ".join(notice.code for notice in result.notices),
        stop=result.stop or "",
        launches=len(result.launches),
        requests=summary.n if summary else int(told.get("queries", told.get("samples", 0))),
        message=result.message or _why_invalid(result),
        created=result.created,
        artifact=result.job.artifact,
        host=result.host,
        machine=", ".join(word for word in (machine(before), result.host) if word),
        power_mode=str(before.get("nvpmodel") or ""),
        file=store.file_name(result),
    )


def machine(before: dict[str, Any]) -> str:
    """What a fingerprint says of where something ran, as far as it makes times comparable; empty if nothing."""
    cpu = before.get("cpu") or {}
    cores = cpu.get("logical_cores")
    cards = before.get("nvidia_cards") or []
    parts = [before.get("board"), cpu.get("model"), cores and f"{cores} cores", before.get("arch"), *cards]
    return ", ".join(str(part) for part in parts if part)


def layers_in_words(layers: Sequence[Layers]) -> str:
    """In what share of its layers a network computes in which precision: "int8 96 %, fp32 4 %"."""
    counts = Counter()
    for some in layers:
        counts[some.precision] += some.count if some.precision else 0
    total = counts.total()
    return ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common() if count)


def _verdict(result: Result) -> str:
    if result.loadgen:
        return result.loadgen.word
    return result.summary.sustained.verdict if result.summary and result.summary.sustained else ""


def _why_invalid(result: Result) -> str:
    """What LoadGen found unsatisfied and what to do; its advice in full is in the result."""
    if result.loadgen is None or result.loadgen.valid:
        return ""
    return "; ".join([*(why for why in result.loadgen.reasons if why.endswith(": NO")), result.loadgen.hint])


def _loadgen_throughput(told: dict[str, float]) -> float | None:
    """Images a second: of offline, of server, of single-stream; LoadGen gives none for multi-stream."""
    names = ("samples_per_s", "completed_samples_per_s", "queries_per_s")
    return next((told[name] for name in names if name in told), None)


def _watts(milliwatts: float | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _mib(count: int | None) -> float | None:
    return None if count is None else count / 2**20
