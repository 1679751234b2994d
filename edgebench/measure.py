"""The one timed loop. Nobody else in edgebench reads the clock around an inference."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from edgebench.jobs import Samples
from edgebench.protocols import Session

Clock = Callable[[], int]


def measure_latency(
    session: Session,
    inputs: Sequence[dict[str, Any]],
    *,
    warmup_s: float,
    duration_s: float,
    max_iterations: int,
    clock_ns: Clock = time.perf_counter_ns,
) -> Samples:
    """Time one request after another, from the call to `session.run` to its return.

    `inputs` are prepared requests, taken in rotation. After `warmup_s` of warm-up the loop goes on for `duration_s` or
    `max_iterations`, whichever ends first, but makes at least one request. Garbage collection is off meanwhile; every
    sample is kept, the warm-up apart.
    """
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        warmup, _ = _loop(session, inputs, warmup_s, max_iterations, clock_ns)
        latency, wall_ns = _loop(session, inputs, duration_s, max_iterations, clock_ns)
    finally:
        if collecting:
            gc.enable()
    return Samples(latency_ns=tuple(latency), warmup_ns=tuple(warmup), wall_ns=wall_ns)


def _loop(
    session: Session, inputs: Sequence[dict[str, Any]], duration_s: float, max_iterations: int, clock_ns: Clock
) -> tuple[array[int], int]:
    run, rotation = session.run, len(inputs)
    samples = array("q", bytes(8 * max_iterations))  # allocated and touched now, not inside the loop
    started = clock_ns()
    deadline = started + int(duration_s * 1e9)
    n, after = 0, started
    while n < max_iterations and (after < deadline or n == 0):
        request = inputs[n % rotation]
        before = clock_ns()
        run(request)
        after = clock_ns()
        samples[n] = after - before
        n += 1
    return samples[:n], after - started
