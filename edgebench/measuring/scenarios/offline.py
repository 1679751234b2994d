"""offline: MLPerf's LoadGen asks for everything at once."""

from __future__ import annotations

from edgebench.measuring.scenarios.loadgen import Load, scenario

LOAD = Load(  # one query of many samples; the early-stopping rule does not apply
    name="Offline", min_queries=1, query_s=lambda job, capacity_per_s: 0.0, queued=True, counts_samples=True
)
SCENARIO = scenario(
    "offline",
    "MLPerf LoadGen: everything at once.",
    LOAD,
)
