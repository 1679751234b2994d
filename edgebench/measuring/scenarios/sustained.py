"""sustained: one request after another for minutes, while clocks and temperatures are recorded: does it slow down?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebench.machine.fingerprint import clocks
from edgebench.measuring import loop
from edgebench.measuring.scenarios import wording
from edgebench.protocols import Scenario, Session
from edgebench.records.jobs import Conditions, Job
from edgebench.records.options import option
from edgebench.records.result import Launch, Measured, Result, Samples, Summary, Sustained, SustainedWindow

WINDOW_S = 1.0  # between two readings of clocks and temperatures


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long it runs."""

    minutes: float = option(10.0, "Length of the run.", above_0="number of minutes")


def settle(asked: Conditions, own: Length) -> dict[str, Any]:
    return {"duration_s": own.minutes * 60}


def asked_by(job: Job) -> dict[str, Any]:
    return {"minutes": job.duration_s / 60}


def perform(session: Session, requests: Sequence[dict[str, Any]], job: Job, tell: Callable[[str], None]) -> Measured:
    from edgebench.results import stats

    latency, windows = [], []
    warmup, _, _ = loop.loop(session.run, requests, job.warmup_s, job.max_iterations)
    began_ns = time.perf_counter_ns()
    with loop.collection_off():
        while (elapsed := (time.perf_counter_ns() - began_ns) / 1e9) < job.duration_s:
            samples, _, _ = loop.loop(session.run, requests, WINDOW_S, job.max_iterations)
            mhz, temperature_c, throttled = clocks()
            ordered = sorted(samples)
            window = SustainedWindow(
                start_s=elapsed,
                n=len(ordered),
                median_ns=stats.median(ordered),
                max_ns=ordered[-1],
                mhz=mhz,
                temperature_c=temperature_c,
                throttled=throttled,
            )
            windows.append(window)
            latency += samples
            tell(f"minute {int(elapsed / 60) + 1} of {job.duration_s / 60:g}")
    wall_ns = time.perf_counter_ns() - began_ns
    samples = Samples(latency_ns=tuple(latency), warmup_ns=tuple(warmup), wall_ns=wall_ns, began_ns=began_ns)
    return Measured(samples=samples, windows=tuple(windows))


def summarise(job: Job, launches: Sequence[Launch], summary: Summary) -> Summary:
    return replace(summary, sustained=end_against_start(launches[-1].windows))


def end_against_start(windows: Sequence[SustainedWindow]) -> Sustained | None:
    """The last minute against the first, or the last third of a shorter run; None below six windows."""
    import numpy as np

    from edgebench.results.stats import RESAMPLES

    if len(windows) < 6:
        return None
    total_s = windows[-1].start_s * len(windows) / (len(windows) - 1)  # the end of the last one: they are equally long
    span_s = min(60.0, total_s / 3)
    first = np.array([w.median_ns for w in windows if w.start_s < span_s])
    last = np.array([w.median_ns for w in windows if w.start_s >= total_s - span_s])
    generator = np.random.default_rng(0)
    ratios = np.median(generator.choice(last, (RESAMPLES, len(last))), axis=1) / np.median(
        generator.choice(first, (RESAMPLES, len(first))), axis=1
    )
    low, high = (float(v) for v in np.percentile(ratios, [2.5, 97.5]))
    verdict = "throttled" if any(w.throttled for w in windows) else "slowed" if low > 1.02 else "steady"
    if total_s < 120 and verdict == "steady":
        verdict = "too_short"
    first_ns, last_ns = int(np.median(first)), int(np.median(last))
    return Sustained(
        first_median_ns=first_ns,
        last_median_ns=last_ns,
        slowdown=last_ns / first_ns,
        slowdown_ci95=(low, high),
        verdict=verdict,
    )


def headline(result: Result) -> str:
    median, run = wording.median(result.summary), result.summary.sustained
    if run is None:
        return median
    low, high = run.slowdown_ci95
    return f"{run.verdict}: the end takes {run.slowdown:.3f} × the start (95 % {low:.3f} to {high:.3f}); {median}"


def verdict(result: Result) -> str:
    return result.summary.sustained.verdict if result.summary and result.summary.sustained else ""


SCENARIO = Scenario(
    name="sustained",
    help="For minutes, while clocks and temperatures are recorded: does it slow down?",
    options=Length,
    settle=settle,
    asked_by=asked_by,
    perform=perform,
    summarise=summarise,
    repeated=False,  # the minutes on end are one measurement
    own_length=True,
    over_time=True,
    power="beside",
    headline=headline,
    verdict=verdict,
)
