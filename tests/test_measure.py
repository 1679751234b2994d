"""The timed loop, on a clock that only the session moves: every sample is known beforehand."""

from __future__ import annotations

import gc
import itertools
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.jobs import Samples
from edgebench.measure import measure_latency
from edgebench.specs import Effective

MS = 1_000_000


class Clock:
    """Nanoseconds that pass only when a session runs, and `tick_ns` each time it is read."""

    def __init__(self, tick_ns: int = 0) -> None:
        self.now = 12_345
        self.tick_ns = tick_ns

    def __call__(self) -> int:
        self.now += self.tick_ns
        return self.now


class Scripted:
    """A session whose n-th run takes the n-th of `latencies_ns`; notes what it was asked and whether gc was on."""

    effective = Effective("scripted", "fp32", 1, "1", evidence="scripted")

    def __init__(self, clock: Clock, latencies_ns: Iterable[int], fail_at: int | None = None) -> None:
        self._clock, self._latencies_ns, self._fail_at = clock, iter(latencies_ns), fail_at
        self.requests: list[dict[str, Any]] = []
        self.collecting: list[bool] = []

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(inputs)
        self.collecting.append(gc.isenabled())
        self._clock.now += next(self._latencies_ns)
        if len(self.requests) == self._fail_at:
            raise RuntimeError("the device is lost")
        return {}

    def close(self) -> None: ...

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *exc: object) -> None: ...


def measured(
    latencies_ns: Iterable[int], *, warmup_s: float = 0.0, duration_s: float = 0.01, most: int = 1000, tick_ns: int = 0
) -> Samples:
    clock = Clock(tick_ns)
    return measure_latency(
        Scripted(clock, latencies_ns), [{}], warmup_s=warmup_s, duration_s=duration_s, max_iterations=most,
        clock_ns=clock,
    )  # fmt: skip


@pytest.fixture
def collecting() -> Iterator[None]:
    """Leaves the garbage collector as it was found, whatever a test does."""
    before = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if before else gc.disable)()


def test_samples_are_exact() -> None:
    samples = measured(itertools.chain([9 * MS], [1 * MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS]))
    assert samples == Samples((1 * MS, 2 * MS, 3 * MS, 4 * MS), (9 * MS,), 10 * MS)


def test_the_warm_up_is_kept_apart() -> None:
    samples = measured(itertools.count(1), warmup_s=10e-9, duration_s=20e-9)
    assert samples.warmup_ns == (1, 2, 3, 4)  # 10 ns are over after the fourth
    assert samples.latency_ns == (5, 6, 7, 8)
    assert samples.wall_ns == 26


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 999).map(random.Random), st.integers(0, 90), st.integers(1, 90))
def test_every_request_is_one_sample_in_order(source: random.Random, warmup_ns: int, duration_ns: int) -> None:
    script = [source.randint(1, 50) for _ in range(200)]
    samples = measured(script, warmup_s=warmup_ns / 1e9, duration_s=duration_ns / 1e9)
    made = samples.warmup_ns + samples.latency_ns
    assert made == tuple(script[: len(made)])
    assert samples.wall_ns == sum(samples.latency_ns)
    for times, limit in ((samples.warmup_ns, warmup_ns), (samples.latency_ns, duration_ns)):
        # The last request began in time and ended at the limit or beyond it.
        assert len(times) == 1 or sum(times[:-1]) < limit
        assert sum(times) >= limit - 1  # seconds as binary fractions may lose a nanosecond


def test_a_sample_holds_the_request_and_the_wall_time_also_what_lies_between() -> None:
    samples = measured(itertools.repeat(100), duration_s=1e-6, tick_ns=3)
    assert set(samples.latency_ns) == {103}  # one read of the clock, 3 ns, falls inside
    assert samples.wall_ns == len(samples.latency_ns) * 106


def test_inputs_are_taken_in_rotation() -> None:
    clock, inputs = Clock(), [{"x": 0}, {"x": 1}, {"x": 2}]
    session = Scripted(clock, itertools.repeat(MS))
    measure_latency(session, inputs, warmup_s=0.002, duration_s=0.007, max_iterations=99, clock_ns=clock)
    assert [request["x"] for request in session.requests] == [0, 1, 0, 1, 2, 0, 1, 2, 0]
    assert all(request is inputs[request["x"]] for request in session.requests), "an input was copied"


@pytest.mark.parametrize("duration_s", [0.0, 1e-12, 1e-9])
def test_at_least_one_request_is_measured(duration_s: float) -> None:
    samples = measured([7, 5, 3], duration_s=duration_s)
    assert samples == Samples((5,), (7,), 5)


def test_max_iterations_ends_both_loops() -> None:
    samples = measured(itertools.count(1), warmup_s=1e9, duration_s=1e9, most=3)
    assert samples == Samples((4, 5, 6), (1, 2, 3), 15)


def test_requests_faster_than_the_clock_end_all_the_same() -> None:
    samples = measured(itertools.repeat(0), duration_s=1.0, most=50)
    assert samples.latency_ns == (0,) * 50


@pytest.mark.usefixtures("collecting")
@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_off_inside_and_then_as_before(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    clock = Clock()
    session = Scripted(clock, itertools.repeat(MS))
    measure_latency(session, [{}], warmup_s=0.003, duration_s=0.003, max_iterations=9, clock_ns=clock)
    assert session.collecting == [False] * 6
    assert gc.isenabled() is enabled


@pytest.mark.usefixtures("collecting")
@pytest.mark.parametrize("fail_at", [1, 5])  # in the warm-up, in the measurement
def test_an_exception_passes_and_garbage_collection_is_back_on(fail_at: int) -> None:
    clock = Clock()
    session = Scripted(clock, itertools.repeat(MS), fail_at)
    with pytest.raises(RuntimeError, match="the device is lost"):
        measure_latency(session, [{}], warmup_s=0.003, duration_s=0.009, max_iterations=99, clock_ns=clock)
    assert gc.isenabled()
    assert len(session.requests) == fail_at


class Sleeping(Scripted):
    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.002)
        return {}


def test_on_the_real_clock() -> None:
    started = time.perf_counter_ns()
    samples = measure_latency(Sleeping(Clock(), ()), [{}], warmup_s=0.0, duration_s=0.05, max_iterations=1000)
    elapsed = time.perf_counter_ns() - started
    assert len(samples.warmup_ns) == 1
    assert 1 <= len(samples.latency_ns) <= 25
    assert min(samples.latency_ns) >= 2 * MS
    assert 50 * MS <= samples.wall_ns <= elapsed
    assert sum(samples.latency_ns) <= samples.wall_ns
