"""The one timed loop, and the three ways to drive it. Nothing else in edgebench times an inference."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgebench.records.result import Samples

Clock = Callable[[], int]
Request = dict[str, Any]
Run = Callable[[Request], Any]

SPIN_NS = 500_000  # a sleep may end this much late, so the last part of a wait polls the clock
MIN_REQUESTS_A_LANE = 10  # otherwise the idle time at a lane's end would lower the throughput


def one_at_a_time(
    run: Run,
    inputs: Sequence[Request],
    *,
    warmup_s: float,
    duration_s: float,
    max_iterations: int,
    device_time_ns: Callable[[], int] | None = None,
    clock_ns: Clock = time.perf_counter_ns,
) -> Samples:
    """Time one request after another, from the call of `run` to its return.

    `inputs` are prepared requests, used in rotation. After `warmup_s` of warm-up the loop runs for `duration_s` or
    `max_iterations`, whichever ends first, and makes at least one request. Garbage collection is off during the loop.
    Every sample is kept, those of the warm-up apart. `device_time_ns` returns how long the last request computed.
    """
    with collection_off():
        warmup, _, _ = loop(run, inputs, warmup_s, max_iterations, clock_ns=clock_ns)
        latency, device, wall_ns = loop(run, inputs, duration_s, max_iterations, device_time_ns, clock_ns=clock_ns)
        began_ns = time.perf_counter_ns() - wall_ns
    return Samples(
        latency_ns=tuple(latency), warmup_ns=tuple(warmup), wall_ns=wall_ns, device_ns=tuple(device), began_ns=began_ns
    )


def loop(
    run: Run,
    inputs: Sequence[Request],
    duration_s: float,
    max_iterations: int,
    device_time_ns: Callable[[], int] | None = None,
    *,
    min_iterations: int = 1,
    clock_ns: Clock = time.perf_counter_ns,
) -> tuple[array[int], array[int], int]:
    """The loop itself: (latency of each request, its time on the device, wall time of all), in nanoseconds."""
    rotation = len(inputs)
    samples = array("q", bytes(8 * max_iterations))  # allocated and touched now, not inside the loop
    device = array("q", bytes(8 * max_iterations if device_time_ns else 0))
    started = clock_ns()
    deadline = started + duration_s * 1e9
    n, after = 0, started
    while n < max_iterations and (after < deadline or n < min_iterations):
        request = inputs[n % rotation]
        before = clock_ns()
        run(request)
        after = clock_ns()
        samples[n] = after - before
        if device_time_ns is not None:
            device[n] = device_time_ns()
        n += 1
    return samples[:n], device[:n], after - started


def many_at_once(
    lanes: Sequence[Run], inputs: Sequence[Request], *, warmup_s: float, duration_s: float, max_iterations: int
) -> Samples:
    """Keep one request in flight in each of `lanes`, one thread each, for throughput. Latency includes waiting."""
    warmed = threading.Barrier(len(lanes))
    outcomes: list[tuple[array[int], array[int], int, int]] = []
    errors: list[BaseException] = []

    def drive(run: Run, shift: int) -> None:
        rotated = [*inputs[shift % len(inputs) :], *inputs[: shift % len(inputs)]]
        try:
            warmup, _, _ = loop(run, rotated, warmup_s, max_iterations)
            warmed.wait()
            started = time.perf_counter_ns()
            latency, _, wall_ns = loop(
                run, rotated, duration_s, max_iterations, min_iterations=min(MIN_REQUESTS_A_LANE, max_iterations)
            )
            outcomes.append((latency, warmup, started, started + wall_ns))
        except BaseException as error:
            errors.append(error)
            warmed.abort()

    threads = [threading.Thread(target=drive, args=(run, i), name=f"lane-{i}") for i, run in enumerate(lanes)]
    with collection_off():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    began_ns = min(start for *_, start, _ in outcomes)
    wall_ns = max(end for *_, end in outcomes) - began_ns
    latency, warmup = (tuple(n for outcome in outcomes for n in outcome[i]) for i in (0, 1))
    return Samples(latency_ns=latency, warmup_ns=warmup, wall_ns=wall_ns, began_ns=began_ns)


def on_schedule(
    run: Run,
    inputs: Sequence[Request],
    *,
    rate_hz: float,
    frames: int,
    warmup_s: float,
    clock_ns: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Samples:
    """Send `frames` requests at `rate_hz`, even if the last one is not done; latency counts from the scheduled time.

    One request runs at a time, so a slow one delays the next ones, and their latencies show it (no coordinated
    omission).
    """
    latency, late = array("q", bytes(8 * frames)), array("q", bytes(8 * frames))
    with collection_off():
        warmup, _, _ = loop(run, inputs, warmup_s, 100_000, clock_ns=clock_ns)
        started = clock_ns()
        after = started
        for i in range(frames):
            due = started + round(i * 1e9 / rate_hz)
            while (before := clock_ns()) < due:
                if due - before > SPIN_NS:
                    sleep((due - before - SPIN_NS) / 1e9)
            run(inputs[i % len(inputs)])
            after = clock_ns()
            late[i], latency[i] = before - due, after - due
    return Samples(
        latency_ns=tuple(latency),
        warmup_ns=tuple(warmup),
        wall_ns=after - started,
        late_ns=tuple(late),
        began_ns=started,
    )


@contextlib.contextmanager
def collection_off() -> Iterator[None]:
    """Garbage is collected before the block, and not inside it."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
