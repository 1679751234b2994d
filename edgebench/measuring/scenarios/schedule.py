"""The options of scenarios that send requests on a schedule, even if the last one is not answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgebench.records.jobs import Conditions
from edgebench.records.options import option


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How often a request is sent, and when its answer is late."""

    rate_hz: float = option(
        30.0, "Frames or queries a second.", flag="--rate",
        above_0="number of frames or queries a second",
    )  # fmt: skip
    deadline_ms: float | None = option(
        None, "When a frame is late, or the bound on p99.", unset="one period", above_0="number of milliseconds"
    )  # fmt: skip


def settle(asked: Conditions, own: Schedule) -> dict[str, Any]:
    """The rate and the deadline of a job; without a deadline, an answer has one period."""
    return {"rate_hz": own.rate_hz, "deadline_ms": own.deadline_ms or 1000 / own.rate_hz}
