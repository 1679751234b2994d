"""From results to the rows of a table: the newest result of each distinct measurement, best known first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.jobs import Result


@dataclass(frozen=True)
class Row:
    """One line of the report. None is what was not measured; it is never shown as 0."""

    model: str
    parameters_m: float
    gmacs: float
    gflops: float
    test_accuracy: float
    median_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    throughput_per_s: float | None
    peak_memory_mib: float | None
    format: str
    runtime: str
    provider: str
    precision: str
    threads: int | None
    batch: int
    device: str
    compute: str
    evidence: str
    relative_error: float | None
    status: str
    message: str
    created: str


def rows(results: Sequence[Result]) -> list[Row]:
    """A row for each distinct measurement, the newest result standing for repetitions of it.

    Ordered by evidence first, so that emulated figures never stand among measured ones, then model and latency.
    """
    newest: dict[tuple, Result] = {}
    for result in sorted(results, key=lambda result: result.created):
        if result.status == "ok":  # mends what failed before it
            newest.pop((False, *_cell(result)), None)
        newest[(result.status == "ok", *_cell(result))] = result  # a later failure hides no figure: it has its own row
    made = [_row(result) for result in newest.values()]
    return sorted(
        made, key=lambda r: (r.evidence != "measured", r.evidence, r.device, r.model, r.median_ms or float("inf"))
    )


def _cell(result: Result) -> tuple:
    job = result.job
    options = tuple(sorted(job.options.items()))
    asked = (job.runtime, job.device, job.compute, job.evidence, job.batch, job.precision, job.threads, options)
    return (job.artifact, *asked)


def _row(result: Result) -> Row:
    model, summary, effective = result.artifact.model, result.summary, result.effective
    memory = result.memory.peak_bytes if result.memory else None
    return Row(
        model=model.name,
        parameters_m=model.parameters / 1e6,
        gmacs=model.macs / 1e9,
        gflops=model.flops / 1e9,
        test_accuracy=result.artifact.training.test_accuracy,
        median_ms=summary and summary.median_ns / 1e6,
        p90_ms=_ms(summary and summary.p90_ns),
        p99_ms=_ms(summary and summary.p99_ns),
        throughput_per_s=summary and summary.throughput_per_s,
        peak_memory_mib=None if memory is None else memory / 2**20,
        format=result.artifact.format,
        runtime=result.job.runtime,
        provider=effective.provider if effective else "",
        precision=(effective and effective.precision) or f"{result.job.precision}?",
        threads=effective.threads if effective else None,
        batch=result.job.batch,
        device=result.job.device,
        compute=result.job.compute,
        evidence=result.evidence if result.status == "ok" else "",
        relative_error=result.parity.relative_error if result.parity else None,
        status=result.status,
        message=result.message,
        created=result.created,
    )


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
