"""server: MLPerf's LoadGen asks at random times, at a given mean rate, with a bound on p99."""

from __future__ import annotations

from typing import Any

from edgebench.errors import UsageError
from edgebench.measuring.scenarios import schedule
from edgebench.measuring.scenarios.loadgen import Load, LoadGenPlan, scenario
from edgebench.measuring.scenarios.schedule import Schedule
from edgebench.records.jobs import Conditions, Job

MAX_QUERIES = 1_000_000  # LoadGen prepares them beforehand, at 0.3 KB each


def check(asked: Conditions, own: Schedule) -> None:
    if (asked.batch or 1) > 1:
        raise UsageError(f"a query of server is one image, not {asked.batch}", "drop --batch")
    queries = own.rate_hz * asked.duration_s
    if not 1 <= queries <= MAX_QUERIES:
        raise UsageError(
            f"--rate {own.rate_hz:g} for {asked.duration_s:g} s is {queries:g} queries",
            f"choose --rate and --duration for 1 to {MAX_QUERIES}",
        )


def tell_loadgen(settings: Any, job: Job, plan: LoadGenPlan) -> None:
    settings.server_target_qps = job.rate_hz
    settings.server_target_latency_ns = round(job.deadline_ms * 1e6)
    settings.server_max_async_queries = plan.backlog  # this far behind, it gives up: it cannot recover


LOAD = Load(
    name="Server",
    min_queries=662,
    query_s=lambda job, capacity_per_s: 1 / job.rate_hz,
    queued=True,
    set=tell_loadgen,
)
SCENARIO = scenario(
    "server",
    "MLPerf LoadGen: queries at random times, with a bound on p99.",
    LOAD,
    options=Schedule,
    check=check,
    settle=schedule.settle,
)  # fmt: skip
