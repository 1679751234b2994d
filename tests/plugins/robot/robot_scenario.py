"""A plug-in's scenario: the robot takes a step of two milliseconds between two images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from edgebench.measuring import loop
from edgebench.protocols import Scenario, Session
from edgebench.records.jobs import Job
from edgebench.records.result import Measured


def perform(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    def run(inputs: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.002)
        return session.run(inputs)

    samples = loop.one_at_a_time(
        run, requests, warmup_s=job.warmup_s, duration_s=job.duration_s, max_iterations=job.max_iterations
    )
    return Measured(samples=samples)


SCENARIO = Scenario(name="robotwalk", help="A step, and an image after it.", perform=perform, libraries=("robotlib",))
