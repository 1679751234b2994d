"""From results to the rows of a table: the newest result of each distinct measurement, best known first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgebench import stats
from edgebench.jobs import Result
from edgebench.specs import Layers


@dataclass(frozen=True)
class Row:
    """One line of the report. None is what was not measured; it is never shown as 0."""

    model: str
    parameters_m: float
    gmacs: float
    gflops: float
    test_accuracy: float
    deployed_accuracy: float | None
    scenario: str
    median_ms: float | None
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


def rows(results: Sequence[Result]) -> list[Row]:
    """A row for each distinct measurement, the newest result standing for repetitions of it.

    An evaluation is no row of its own: its accuracy stands in the rows of the same artifact on the same runtime.
    Ordered by evidence first, so that emulated figures never stand among measured ones, then model and latency.
    """
    newest: dict[tuple, Result] = {}
    accuracies = {_deployed(r): r.evaluation.accuracy for r in results if r.evaluation and r.status == "ok"}
    results = [result for result in results if result.job.scenario != "evaluate"]
    # What was cut short stands only where there is nothing whole.
    for result in sorted(results, key=lambda result: (result.stop != "interrupted", result.created)):
        if result.status == "ok":  # mends what failed before it
            newest.pop((False, *_cell(result)), None)
        newest[(result.status == "ok", *_cell(result))] = result  # a later failure hides no figure: it has its own row
    made = [_row(result, accuracies.get(_deployed(result))) for result in newest.values()]
    return sorted(
        made, key=lambda r: (r.evidence != "measured", r.evidence, r.device, r.model, r.median_ms or float("inf"))
    )


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


def _row(result: Result, deployed_accuracy: float | None) -> Row:
    model, summary, effective = result.artifact.model, result.summary, result.effective
    camera = summary.camera if summary else None
    told = result.loadgen.figures if result.loadgen else {}
    gpu = [launch.memory.gpu_bytes for launch in result.launches if launch.memory.gpu_bytes is not None]
    return Row(
        model=model.name,
        parameters_m=model.parameters / 1e6,
        gmacs=model.macs / 1e9,
        gflops=model.flops / 1e9,
        test_accuracy=result.artifact.training.test_accuracy,
        deployed_accuracy=deployed_accuracy,
        scenario=result.job.scenario,
        median_ms=_ms(summary.median_ns if summary else told.get("p50_latency_ns")),
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
    )


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


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _mib(count: int | None) -> float | None:
    return None if count is None else count / 2**20
