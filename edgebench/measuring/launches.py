"""Repeats a measurement in fresh processes until its median is known well enough or the time is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from edgebench.machine import scenario_registry
from edgebench.measuring import process
from edgebench.records.jobs import MIN_LAUNCHES, Job, Policy, Stop
from edgebench.records.notices import Notice, notice
from edgebench.records.result import Result, Summary
from edgebench.results import stats
from edgebench.specs import Artifact


def repeat(
    job: Job,
    artifact: Artifact,
    policy: Policy,
    *,
    on_launch: Callable[[Result], None] = lambda result: None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Result:
    """Make launches of `job` until there is a reason to stop: see `_reason_to_stop`. The first verifies the answers.

    After each launch but the last, `on_launch` gets the result so far, marked `interrupted`, to keep it in case that
    no other launch ends. Ctrl-C returns that result. A launch that fails ends the measurement, and its status becomes
    the result's.
    """
    began = time.monotonic()
    result: Result | None = None
    while True:
        launch_began = time.monotonic()
        try:
            one = process.run_job(job, artifact, verify=result is None, on_phase=on_phase)
        except KeyboardInterrupt:
            if result is None:
                raise
            return result
        result = joined(result, one)
        if result.status != "ok":
            return result
        now = time.monotonic()
        stop = _reason_to_stop(result, policy, elapsed_s=now - began, last_s=now - launch_began)
        result = replace(result, stop=stop or "interrupted")
        if stop:
            return result
        on_launch(result)


def joined(before: Result | None, one: Result) -> Result:
    """The result of the launches so far and of one more, with the figures of all; if that failed, with its status."""
    if one.status != "ok":
        return _failed(before, one)
    return _with_figures(one if before is None else replace(before, launches=before.launches + one.launches))


def _reason_to_stop(result: Result, policy: Policy, *, elapsed_s: float, last_s: float) -> Stop | None:
    made = len(result.launches)
    if made >= policy.launches or not scenario_registry.load(result.job.scenario).repeated:
        if not policy.precision_target or made < MIN_LAUNCHES:
            return "launches"
        width = stats.half_width(result.summary) if result.summary else None
        if width is not None and width <= policy.precision_target:
            return "precision"
    return "max_seconds" if elapsed_s + last_s > policy.max_seconds else None


def _failed(before: Result | None, one: Result) -> Result:
    if before is None:
        return replace(one, stop="failed")
    number = len(before.launches) + 1
    message = f"launch {number}: {one.message}"
    return replace(
        before,
        status=one.status,
        message=message,
        stop="failed",
        summary=None,
        log_tail=one.log_tail or before.log_tail,
    )


def _with_figures(result: Result) -> Result:
    summary = stats.summarise(result.launches, result.job.batch)
    scenario = scenario_registry.load(result.job.scenario)
    if summary is not None and scenario.summarise:
        summary = scenario.summarise(result.job, result.launches, summary)
    return replace(result, summary=summary, notices=_collected(result) + _few_requests(summary))


def _few_requests(summary: Summary | None) -> tuple[Notice, ...]:
    """Why there is no median, on a slow board or with a large model."""
    if summary is None or summary.median_ns is not None:
        return ()
    return (notice("few_requests", n=summary.n, needed=stats.min_samples(0.5)),)


def _collected(result: Result) -> tuple[Notice, ...]:
    """One notice of each kind, the last one seen, with the number of launches that had it."""
    by_code: dict[str, list[Notice]] = {}
    for launch in result.launches:
        for each in launch.notices:
            by_code.setdefault(each.code, []).append(each)
    total = len(result.launches)
    return tuple(
        replace(seen[-1], message=f"{seen[-1].message} (in {len(seen)} of {total} launches)") if total > 1 else seen[-1]
        for seen in by_code.values()
    )
