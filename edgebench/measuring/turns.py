"""A worker that runs in turns: short bursts on request, between which the process that asks keeps it stopped."""

from __future__ import annotations

import contextlib
import math
from array import array
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection  # only its frames of bytes are used; nothing is ever unpickled
from typing import Any

from edgebench.measuring import loop
from edgebench.protocols import Session
from edgebench.records import jsonio
from edgebench.records.jobs import Job
from edgebench.records.result import Measured, Samples

WARMUP_S = 0.2  # at most: each burst has a lead-in of its own

Perform = Callable[[Session, "Sequence[dict[str, Any]]", Job, "Callable[[str], None]"], Measured]


def performer(connection: Connection) -> Perform:
    """What a worker does instead of its scenario: it warms up, says what it runs, and then takes its turns.

    Each frame "n" makes it run n inferences. The first quarter of them (at least one) is untimed: it warms the caches
    that others have used since. It answers with the nanoseconds of the others (int64). When the other side has closed
    its end, all that was timed is the measurement.
    """

    def perform(
        session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]
    ) -> Measured:
        every, wall_ns = array("q"), 0
        with loop.collection_off(), contextlib.suppress(EOFError):
            warmup, _, _ = loop.loop(session.run, requests, min(job.warmup_s, WARMUP_S), job.max_iterations)
            connection.send_bytes(jsonio.dumps({"effective": session.effective}).encode())
            while True:
                samples, burst_ns = burst(session, requests, int(connection.recv_bytes(20)))
                every.extend(samples)
                wall_ns += burst_ns
                connection.send_bytes(samples.tobytes())
        return Measured(samples=Samples(latency_ns=tuple(every), warmup_ns=tuple(warmup), wall_ns=wall_ns))

    return perform


def burst(session: Session, requests: Sequence[dict[str, Any]], count: int) -> tuple[array[int], int]:
    """The times of all but the first quarter of `count` inferences, and of all those together, in nanoseconds."""
    lead_in = -(-count // 4)
    loop.loop(session.run, requests, math.inf, lead_in)
    samples, _, wall_ns = loop.loop(session.run, requests, math.inf, count - lead_in)
    return samples, wall_ns
