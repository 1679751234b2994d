"""The timed loop, on a clock that only the session moves: every sample is known beforehand."""

from __future__ import annotations

import gc
import itertools
import random
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.measuring.loop import loop, many_at_once, on_schedule, one_at_a_time
from edgebench.records.result import Samples
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

    effective = Effective(provider="scripted", precision="fp32", threads=1, version="1", evidence="scripted")

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
    return one_at_a_time(
        Scripted(clock, latencies_ns).run, [{}], warmup_s=warmup_s, duration_s=duration_s, max_iterations=most,
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
    assert samples == Samples(latency_ns=(1 * MS, 2 * MS, 3 * MS, 4 * MS), warmup_ns=(9 * MS,), wall_ns=10 * MS)


def test_the_warm_up_is_kept_apart() -> None:
    samples = measured(itertools.count(1), warmup_s=10e-9, duration_s=20e-9)
    assert samples.warmup_ns == (1, 2, 3, 4)  # 10 ns are over after the fourth
    assert samples.latency_ns == (5, 6, 7, 8)
    assert samples.wall_ns == 26


@settings(max_examples=8)
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
    one_at_a_time(session.run, inputs, warmup_s=0.002, duration_s=0.007, max_iterations=99, clock_ns=clock)
    assert [request["x"] for request in session.requests] == [0, 1, 0, 1, 2, 0, 1, 2, 0]
    assert all(request is inputs[request["x"]] for request in session.requests), "an input was copied"


@pytest.mark.parametrize("duration_s", [0.0, 1e-12, 1e-9])
def test_at_least_one_request_is_measured(duration_s: float) -> None:
    samples = measured([7, 5, 3], duration_s=duration_s)
    assert samples == Samples(latency_ns=(5,), warmup_ns=(7,), wall_ns=5)


def test_max_iterations_ends_both_loops() -> None:
    samples = measured(itertools.count(1), warmup_s=1e9, duration_s=1e9, most=3)
    assert samples == Samples(latency_ns=(4, 5, 6), warmup_ns=(1, 2, 3), wall_ns=15)


def test_requests_faster_than_the_clock_end_all_the_same() -> None:
    samples = measured(itertools.repeat(0), duration_s=1.0, most=50)
    assert samples.latency_ns == (0,) * 50


@pytest.mark.usefixtures("collecting")
@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_off_inside_and_then_as_before(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    clock = Clock()
    session = Scripted(clock, itertools.repeat(MS))
    one_at_a_time(session.run, [{}], warmup_s=0.003, duration_s=0.003, max_iterations=9, clock_ns=clock)
    assert session.collecting == [False] * 6
    assert gc.isenabled() is enabled


@pytest.mark.usefixtures("collecting")
@pytest.mark.parametrize("fail_at", [1, 5])  # in the warm-up, in the measurement
def test_an_exception_passes_and_garbage_collection_is_back_on(fail_at: int) -> None:
    clock = Clock()
    session = Scripted(clock, itertools.repeat(MS), fail_at)
    with pytest.raises(RuntimeError, match="the device is lost"):
        one_at_a_time(session.run, [{}], warmup_s=0.003, duration_s=0.009, max_iterations=99, clock_ns=clock)
    assert gc.isenabled()
    assert len(session.requests) == fail_at


class Sleeping(Scripted):
    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        time.sleep(0.002)
        return {}


def test_on_the_real_clock() -> None:
    started = time.perf_counter_ns()
    samples = one_at_a_time(Sleeping(Clock(), ()).run, [{}], warmup_s=0.0, duration_s=0.05, max_iterations=1000)
    elapsed = time.perf_counter_ns() - started
    assert len(samples.warmup_ns) == 1
    assert 1 <= len(samples.latency_ns) <= 25, "a sleep is never shorter, so no more fit in"
    assert min(samples.latency_ns) >= 2 * MS
    assert 50 * MS <= samples.wall_ns <= elapsed
    assert sum(samples.latency_ns) <= samples.wall_ns


# requests in flight


def test_lanes_run_at_the_same_time_and_the_wall_spans_them_all() -> None:
    """Each request of one lane meets one of the other: run one after the other they would wait for ever."""
    meeting = threading.Barrier(2, timeout=60)  # passes only if both lanes are inside at once

    def run(request: dict[str, Any]) -> None:
        meeting.wait()
        time.sleep(0.005)

    samples = many_at_once([run, run], [{}], warmup_s=0, duration_s=0.01, max_iterations=10)
    assert len(samples.latency_ns) == 20 and len(samples.warmup_ns) == 2, "ten a lane at least, to bound the idle end"
    assert samples.wall_ns >= 50 * MS, "ten sleeps of each lane"


def test_the_wall_is_from_the_first_start_to_the_last_end() -> None:
    lanes = [lambda request: time.sleep(0.001), lambda request: time.sleep(0.02)]
    samples = many_at_once(lanes, [{}], warmup_s=0, duration_s=0.001, max_iterations=5)
    slow = [ns for ns in samples.latency_ns if ns >= 20 * MS]
    assert len(samples.latency_ns) == 10 and len(slow) >= 5
    assert samples.wall_ns >= 100 * MS, "the slow lane's five requests are inside"


def test_each_lane_begins_at_another_input() -> None:
    first: dict[str, int] = {}
    inputs = [{"x": i} for i in range(3)]

    def run(request: dict[str, Any]) -> None:
        first.setdefault(threading.current_thread().name, request["x"])

    many_at_once([run, run, run], inputs, warmup_s=0, duration_s=0, max_iterations=1)
    assert first == {"lane-0": 0, "lane-1": 1, "lane-2": 2}


@pytest.mark.usefixtures("collecting")
@pytest.mark.parametrize("fail_at", [1, 3])  # in the warm-up, which the other lane waits after; in the measurement
def test_the_error_of_one_lane_is_raised_and_nobody_waits_for_ever(fail_at: int) -> None:
    calls = itertools.count(1)

    def bad(request: dict[str, Any]) -> None:
        if next(calls) == fail_at:
            raise RuntimeError("the device is lost")

    raised: list[BaseException] = []

    def measuring() -> None:
        try:
            lanes = [lambda request: time.sleep(0.001), bad]
            many_at_once(lanes, [{}], warmup_s=0, duration_s=0.01, max_iterations=20)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=measuring, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive(), "deadlock"
    assert isinstance(raised[0], RuntimeError) and "lost" in str(raised[0])
    assert gc.isenabled()
    assert not [t for t in threading.enumerate() if t.name.startswith("lane-")]


# on a schedule


def scheduled(latencies_ns: list[int], rate_hz: float, late_wake_ns: int = 0) -> tuple[Samples, list[float]]:
    """Frames of these latencies on a clock that sleeping moves, `late_wake_ns` further than it was asked to."""
    clock = Clock(tick_ns=1)
    session = Scripted(clock, [0, *latencies_ns])  # the first is the warm-up
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += round(seconds * 1e9) + late_wake_ns

    samples = on_schedule(
        session.run, [{}], rate_hz=rate_hz, frames=len(latencies_ns), warmup_s=0, clock_ns=clock, sleep=sleep
    )
    return samples, slept


TICKS = 200_000  # what reading the clock over and over in the last half millisecond may add, a nanosecond each


def test_latency_counts_from_the_scheduled_time() -> None:
    samples, slept = scheduled([3 * MS] * 4, rate_hz=100, late_wake_ns=2 * MS)
    assert len(slept) == 3, "the first is due at once; one sleep before each other"
    assert samples.late_ns[0] < 10
    for late, latency in zip(samples.late_ns[1:], samples.latency_ns[1:], strict=True):
        assert late == pytest.approx(1.5 * MS, abs=100), "2 ms too long, of which half a millisecond was kept back"
        assert latency == pytest.approx(late + 3 * MS, abs=10), "what the sender lost is in the latency"


def test_a_punctual_sender_is_not_late() -> None:
    samples, _ = scheduled([3 * MS] * 5, rate_hz=100)
    assert max(samples.late_ns) < 10
    assert samples.wall_ns == pytest.approx(43 * MS, abs=TICKS)


def test_a_slow_request_makes_the_next_ones_late_and_it_shows() -> None:
    """No coordinated omission: one request of 35 ms at 100 Hz delays the three after it, by 25, 16 and 7 ms."""
    samples, _ = scheduled([1 * MS, 35 * MS, 1 * MS, 1 * MS, 1 * MS, 1 * MS], rate_hz=100)
    in_ms = [round(ns / MS) for ns in samples.latency_ns]
    assert in_ms == [1, 35, 26, 17, 8, 1]
    assert [round(ns / MS) for ns in samples.late_ns] == [0, 0, 25, 16, 7, 0]


def test_a_model_slower_than_the_period_falls_further_behind_with_each_frame() -> None:
    samples, slept = scheduled([15 * MS] * 10, rate_hz=100)
    assert not slept
    assert [round(ns / MS) for ns in samples.latency_ns] == [15 + 5 * i for i in range(10)]


# the device's own time, and memory


def test_the_runtimes_own_time_is_taken_after_each_measured_request() -> None:
    clock, told = Clock(), itertools.count(100)
    session = Scripted(clock, itertools.repeat(MS))
    samples = one_at_a_time(
        session.run, [{}], warmup_s=0.002, duration_s=0.003, max_iterations=9,
        device_time_ns=lambda: next(told), clock_ns=clock,
    )  # fmt: skip
    assert samples.device_ns == (100, 101, 102), "not in the warm-up, once a request"
    assert samples.latency_ns == (MS, MS, MS)


def test_asking_for_the_devices_time_is_in_no_sample() -> None:
    clock = Clock()

    def slow_to_tell() -> int:
        clock.now += 50 * MS
        return 7

    session = Scripted(clock, itertools.repeat(MS))
    samples = one_at_a_time(
        session.run, [{}], warmup_s=0, duration_s=0.1, max_iterations=3, device_time_ns=slow_to_tell, clock_ns=clock
    )
    assert samples.latency_ns == (MS,) * 3 and samples.device_ns == (7,) * 3


@pytest.mark.parametrize(("most", "least"), [(1, 1), (5, 1), (5, 5), (3, 10)])
def test_no_more_samples_than_there_is_room_for(most: int, least: int) -> None:
    clock = Clock()
    session = Scripted(clock, itertools.repeat(MS))
    latency, device, _ = loop(session.run, [{}], 1e-9 if least > 1 else 60, most, min_iterations=least, clock_ns=clock)
    assert len(latency) == len(session.requests) == most
    assert len(device) == 0


def test_the_loop_allocates_nothing_that_grows() -> None:
    """All room for samples is there before the first request; the loop itself makes small objects at most."""
    sizes = []

    def run(request: dict[str, Any]) -> None:
        sizes.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        loop(run, [{}], 60, 2000)
    finally:
        tracemalloc.stop()
    assert sizes[0] >= 8 * 2000
    assert sizes[-1] - sizes[0] < 8 * 2000 * 20, "only this test's own list of sizes grows"
