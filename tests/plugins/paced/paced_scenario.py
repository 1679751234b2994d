"""A third party's scenario: one request after another, with a rest between two, as on a robot that acts on each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebench.errors import UsageError
from edgebench.protocols import Scenario, Session
from edgebench.records.jobs import Conditions, Job
from edgebench.records.options import option
from edgebench.records.result import Launch, Measured, Result, Samples, Summary


@dataclass(frozen=True, kw_only=True)
class Rest:
    rest_ms: float = option(1.0, "Milliseconds of rest after each request.", least=0)
    rests: int = option(20, "How often it rests.", least=1)


def check(asked: Conditions, own: Rest) -> None:
    if own.rest_ms * own.rests > 60_000:
        raise UsageError("--rests would take more than a minute", "fewer --rests")


def perform(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    taken = []
    began = time.perf_counter_ns()
    for i in range(job.own["rests"]):
        before = time.perf_counter_ns()
        session.run(requests[i % len(requests)])
        taken.append(time.perf_counter_ns() - before)
        time.sleep(job.own["rest_ms"] / 1e3)
    wall_ns = time.perf_counter_ns() - began
    samples = Samples(latency_ns=tuple(taken), warmup_ns=(), wall_ns=wall_ns, began_ns=began)
    return Measured(samples=samples, extra={"idle_share": 1 - sum(taken) / wall_ns})


def summarise(job: Job, launches: Sequence[Launch], summary: Summary) -> Summary:
    return replace(summary, extra={"idle_share": statistics.mean(each.extra["idle_share"] for each in launches)})


def headline(result: Result) -> str:
    return f"rested {result.summary.extra['idle_share']:.0%} of the time"


SCENARIO = Scenario(
    name="paced",
    help="One request after another, with a rest between two.",
    options=Rest,
    check=check,
    perform=perform,
    summarise=summarise,
    headline=headline,
    verdict=lambda result: "rested",
)
