"""camera: frames on a schedule, even if the last one is not done; missed deadlines and jitter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgebench.errors import EdgebenchError, UsageError
from edgebench.measuring import loop
from edgebench.measuring.scenarios import schedule, wording
from edgebench.measuring.scenarios.schedule import Schedule
from edgebench.protocols import Scenario, Session
from edgebench.records.jobs import Conditions, Job
from edgebench.records.result import Camera, Launch, Measured, Result, Samples, Summary

LAG_BOUND = 0.1  # share of the period; a sender that is later than that distorts the figures


def check(asked: Conditions, own: Schedule) -> None:
    if own.rate_hz * asked.duration_s > Job.max_iterations:
        raise UsageError(
            f"--rate {own.rate_hz:g} for {asked.duration_s:g} s is more than {Job.max_iterations} frames",
            "use a shorter --duration",
        )


def perform(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    frames = max(1, round(job.duration_s * job.rate_hz))
    samples = loop.on_schedule(session.run, requests, rate_hz=job.rate_hz, frames=frames, warmup_s=job.warmup_s)
    if (late := lag(samples, job.rate_hz)) > LAG_BOUND:
        raise EdgebenchError(
            f"the frames could not be sent on time: 5 % of those not delayed by others left at least {late:.0%} of "
            "a period late, so the figures would describe the sender",
            "free a core, or lower --rate",
        )
    return Measured(samples=samples)


def lag(samples: Samples, rate_hz: float) -> float:
    """How late the frames left that no earlier frame delayed: the 95th percentile, as a share of the period.

    The sender causes this, not the model. (In a run of 60 frames the 99th percentile would be the worst frame alone.)
    """
    from edgebench.results import stats

    period_ns = 1e9 / rate_hz
    idle = [0]
    for i, late in enumerate(samples.late_ns):
        if i == 0 or samples.latency_ns[i - 1] < period_ns:  # the last frame was done before this one was due
            idle.append(late)
    return stats.Pool([idle]).percentile(0.95) / period_ns


def summarise(job: Job, launches: Sequence[Launch], summary: Summary) -> Summary:
    from dataclasses import replace

    samples = [launch.samples for launch in launches if launch.samples]
    return replace(summary, camera=frames_of(samples, job.rate_hz, job.deadline_ms))


def frames_of(samples: Sequence[Samples], rate_hz: float, deadline_ms: float) -> Camera:
    """The missed frames and the jitter of runs on a schedule."""
    frames = sum(len(s.latency_ns) for s in samples)
    missed = sum(latency > deadline_ms * 1e6 for s in samples for latency in s.latency_ns)
    steps = [abs(b - a) for s in samples for a, b in zip(s.latency_ns, s.latency_ns[1:], strict=False)]
    return Camera(
        rate_hz=rate_hz,
        deadline_ms=deadline_ms,
        frames=frames,
        missed=missed,
        miss_rate=missed / frames,
        jitter_ns=sum(steps) / max(1, len(steps)),
    )


def headline(result: Result) -> str:
    seen = result.summary.camera
    return (
        f"{wording.median(result.summary)} from the scheduled time, {seen.missed} of {seen.frames} frames "
        f"({seen.miss_rate:.2%}) later than {seen.deadline_ms:.4g} ms, jitter {seen.jitter_ns / 1e6:.3f} ms"
    )


def power_margin_s(job: Job) -> float:
    return 2 / job.rate_hz  # the last period does not count


def power_window(job: Job, samples: Samples) -> tuple[int, int]:
    """The wall time of a schedule that was kept, without the last period, whose wait the loop does not see."""
    count, length_ns = len(samples.latency_ns), samples.wall_ns
    if count > 1 and length_ns <= count / job.rate_hz * 1e9:
        count -= 1
        length_ns = round(count / job.rate_hz * 1e9)
    return length_ns, count


SCENARIO = Scenario(
    name="camera",
    help="Frames on a schedule: latency from the scheduled time, missed deadlines, jitter.",
    options=Schedule,
    check=check,
    settle=schedule.settle,
    perform=perform,
    summarise=summarise,
    single_requests=True,
    unit="frame",
    power_margin_s=power_margin_s,
    power_window=power_window,
    headline=headline,
)
