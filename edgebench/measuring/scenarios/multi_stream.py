"""multi-stream: MLPerf's LoadGen asks for eight images at a time, one query after another."""

from __future__ import annotations

from typing import Any

from edgebench.errors import UsageError
from edgebench.measuring.scenarios.loadgen import Load, scenario
from edgebench.records.jobs import Conditions, Job

IMAGES = 8  # of a query, as MLPerf defines it


def check(asked: Conditions, own: Any) -> None:
    if IMAGES % (asked.batch or 1):
        raise UsageError(
            f"the {IMAGES} images of a query cannot be split into batches of {asked.batch}", "--batch 1, 2, 4 or 8"
        )


def query_s(job: Job, capacity_per_s: float) -> float:
    return IMAGES // job.batch / capacity_per_s


LOAD = Load(name="MultiStream", min_queries=662, query_s=query_s, largest_batch=IMAGES)
SCENARIO = scenario(
    "multi-stream",
    "MLPerf LoadGen: eight images per query, one query after another.",
    LOAD,
    check=check,
)
