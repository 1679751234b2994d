"""What each `--scenario` does with an opened session: closed loop, lanes, schedule, minutes on end, or LoadGen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.fingerprint import clocks
from edgebench.measuring import loop
from edgebench.protocols import Session
from edgebench.records.jobs import LOADGEN, Job
from edgebench.records.notices import Notice, notice
from edgebench.records.result import LoadGenVerdict, Samples, Window
from edgebench.results import stats

WINDOW_S = 1.0  # of a sustained run, between two looks at the clocks and the heat
LAG_BOUND = 0.1  # of the period; a sender that is later than that measures itself


@dataclass(frozen=True)
class Measured:
    """What one process measured."""

    samples: Samples | None = None
    windows: tuple[Window, ...] = ()
    loadgen: LoadGenVerdict | None = None
    notices: tuple[Notice, ...] = ()


def perform(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    """Measure by the job's scenario. Raises Unsupported where the session lacks what it takes."""
    tell("measuring")
    if job.scenario in LOADGEN:
        from edgebench.measuring import loadgen

        return Measured(loadgen=loadgen.perform(_lanes(session, job), requests, job))
    if job.scenario == "sustained":
        return _sustained(session, requests, job, tell)
    if job.scenario == "camera":
        return _camera(session, requests, job)
    if job.scenario == "throughput":
        samples = loop.many_at_once(
            _lanes(session, job), requests,
            warmup_s=job.warmup_s, duration_s=job.duration_s, max_iterations=job.max_iterations,
        )  # fmt: skip
        return Measured(samples)
    samples = loop.one_at_a_time(
        session.run, requests,
        warmup_s=job.warmup_s, duration_s=job.duration_s, max_iterations=job.max_iterations,
        device_time_ns=None if session.device_time_ns() is None else session.device_time_ns,
    )  # fmt: skip
    return Measured(samples, notices=_unsteady(samples))


def _lanes(session: Session, job: Job) -> Sequence[Callable[[dict[str, Any]], Any]]:
    if job.streams == 1:
        return [session.run]
    if not (lanes := session.lanes(job.streams)):
        raise Unsupported(f"{job.runtime} runs one request at a time", "--streams 1")
    return lanes


def _unsteady(samples: Samples) -> tuple[Notice, ...]:
    if (change := stats.drift(samples.latency_ns)) is None:
        return ()
    return (notice("no_steady_state", change=change),)


def _camera(session: Session, requests: Sequence[dict[str, Any]], job: Job) -> Measured:
    frames = max(1, round(job.duration_s * job.rate_hz))
    samples = loop.on_schedule(session.run, requests, rate_hz=job.rate_hz, frames=frames, warmup_s=job.warmup_s)
    if (lag := stats.lag(samples, job.rate_hz)) > LAG_BOUND:
        raise EdgebenchError(
            f"the frames could not be sent on time: the 95th percentile left {lag:.0%} of a period late with nothing "
            "in its way, so the figures would be the sender's",
            "free a core, or lower --rate",
        )
    return Measured(samples)


def _sustained(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    latency, windows = [], []
    warmup, _, _ = loop.loop(session.run, requests, job.warmup_s, job.max_iterations)
    began_ns = time.perf_counter_ns()
    with loop.collection_off():
        while (elapsed := (time.perf_counter_ns() - began_ns) / 1e9) < job.duration_s:
            samples, _, _ = loop.loop(session.run, requests, WINDOW_S, job.max_iterations)
            mhz, temperature_c, throttled = clocks()
            ordered = sorted(samples)
            window = Window(elapsed, len(ordered), stats.median(ordered), ordered[-1], mhz, temperature_c, throttled)
            windows.append(window)
            latency += samples
            tell(f"minute {int(elapsed / 60) + 1} of {job.duration_s / 60:g}")
    wall_ns = time.perf_counter_ns() - began_ns
    return Measured(Samples(tuple(latency), tuple(warmup), wall_ns, began_ns=began_ns), tuple(windows))
