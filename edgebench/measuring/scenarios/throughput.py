"""throughput: several requests at once, for the most images per second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgebench.measuring import loop
from edgebench.measuring.scenarios import wording
from edgebench.measuring.scenarios.lanes import lanes
from edgebench.protocols import Scenario, Session
from edgebench.records.jobs import Job
from edgebench.records.result import Measured, Result


def perform(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    samples = loop.many_at_once(
        lanes(session, job), requests,
        warmup_s=job.warmup_s, duration_s=job.duration_s, max_iterations=job.max_iterations,
    )  # fmt: skip
    return Measured(samples=samples)


def headline(result: Result) -> str:
    job, summary = result.job, result.summary
    images = f"{summary.throughput_per_s:,.1f} images/s at batch {job.batch} with {job.streams} in flight"
    return f"{images}; {wording.median(summary)}"


SCENARIO = Scenario(
    name="throughput",
    help="Several requests at once: the batch and the requests in flight that give the most images per second.",
    perform=perform,
    crowded=True,
    searches=True,
    compared_by="image",
    headline=headline,
)
