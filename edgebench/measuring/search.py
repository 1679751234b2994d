"""Searches the batch size and the requests in flight for the highest throughput."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgebench.machine.device import available_cores
from edgebench.measuring import process
from edgebench.records.jobs import Job
from edgebench.records.result import SearchPoint
from edgebench.results import stats
from edgebench.specs import Artifact

MAX_BATCH = 64
WORTH = 1.02  # a smaller gain is noise
PROBE_S = 1.0


def most_throughput(
    job: Job,
    artifact: Artifact,
    *,
    batch: int | None = None,
    streams: int | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> tuple[Job, tuple[SearchPoint, ...]]:
    """Returns `job` at the best point found, and all points tried. A given `batch` or `streams` is not searched.

    Each point takes one short launch. First the streams double at the smallest batch, then the batch doubles as long as
    that gains. With streams at 1, 2, 4 … up to the number of cores, this finds the best point of a surface with one
    peak.
    """
    if batch and streams:
        return replace(job, batch=batch, streams=streams), ()
    tried: dict[tuple[int, int], SearchPoint] = {}

    def throughput(point: tuple[int, int]) -> float:
        if point not in tried:
            on_phase(f"searching: batch {point[0]}, {point[1]} in flight")
            tried[point] = _try(replace(job, batch=point[0], streams=point[1]), artifact)
        return tried[point].throughput_per_s or 0.0

    first = batch or 1
    cores = min(job.cores or available_cores(), available_cores())
    flights = [streams] if streams else sorted({1, *(2**i for i in range(1, cores.bit_length())), cores})
    best = (first, max(flights, key=lambda n: throughput((first, n))))
    while not batch and best[0] < MAX_BATCH and throughput((best[0] * 2, best[1])) > WORTH * throughput(best):
        best = (best[0] * 2, best[1])
    if not streams and best[0] != first:  # a larger batch may occupy the cores by itself
        best = max(((best[0], n) for n in flights), key=throughput)
    return replace(job, batch=best[0], streams=best[1]), tuple(tried.values())


def _try(job: Job, artifact: Artifact) -> SearchPoint:
    short = replace(job, warmup_s=min(job.warmup_s, 0.3), duration_s=min(job.duration_s, PROBE_S))
    result = process.run_job(short, artifact, verify=False)
    if result.status != "ok":
        return SearchPoint(job.batch, job.streams, None, result.message)
    summary = stats.summarise(result.launches, job.batch)
    return SearchPoint(job.batch, job.streams, summary.throughput_per_s if summary else None)
