"""latency: one request after another, from the call to its return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgebench.measuring import loop
from edgebench.protocols import Scenario, Session
from edgebench.records.jobs import Job
from edgebench.records.notices import Notice, notice
from edgebench.records.result import Measured, Samples


def perform(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    samples = loop.one_at_a_time(
        session.run, requests,
        warmup_s=job.warmup_s, duration_s=job.duration_s, max_iterations=job.max_iterations,
        device_time_ns=None if session.device_time_ns() is None else session.device_time_ns,
    )  # fmt: skip
    return Measured(samples=samples, notices=_unsteady(samples))


def _unsteady(samples: Samples) -> tuple[Notice, ...]:
    from edgebench.results import stats

    if (change := stats.drift(samples.latency_ns)) is None:
        return ()
    return (notice("no_steady_state", change=change),)


SCENARIO = Scenario(
    name="latency",
    help="One request after another: how long each takes.",
    perform=perform,
    single_requests=True,
)
