"""single-stream: MLPerf's LoadGen asks for one image after another."""

from __future__ import annotations

from typing import Any

from edgebench.errors import UsageError
from edgebench.measuring.scenarios.loadgen import Load, scenario
from edgebench.records.jobs import Conditions


def check(asked: Conditions, own: Any) -> None:
    if (asked.batch or 1) > 1:
        raise UsageError(f"a query of single-stream is one image, not {asked.batch}", "drop --batch")


LOAD = Load(name="SingleStream", min_queries=64, query_s=lambda job, capacity_per_s: 1 / capacity_per_s)
SCENARIO = scenario(
    "single-stream",
    "MLPerf LoadGen: one image after another.",
    LOAD,
    check=check,
)
