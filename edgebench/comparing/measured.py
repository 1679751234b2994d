"""What one measurement is called in a comparison, and what counts in it: its undisturbed launches and their times."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.machine import yardstick
from edgebench.machine.scenario_registry import find
from edgebench.records.notices import DISTURBING_LATENCY
from edgebench.records.result import Launch, Result


def named(result: Result) -> dict[str, str]:
    """The names of a measurement: model, format, runtime, scenario, and the setting in words.

    The setting is, for example, "batch 1, 2 thr., fp32, jetson_orin/cuda".
    """
    job, made = result.job, result.artifact
    size = "searched batch and streams" if result.search else f"batch {job.batch}"
    if not result.search and job.streams > 1:
        size += f", {job.streams} in flight"
    parts = [size, job.threads and f"{job.threads} thr.", job.rate_hz and f"{job.rate_hz:g} Hz", job.precision]
    where = job.device if job.device == job.compute else f"{job.device}/{job.compute}"
    setting = ", ".join([*(part for part in parts if part), where, *([result.host] if result.host else [])])
    return {
        "model": made.model.name, "format": made.format, "runtime": job.runtime, "scenario": job.scenario,
        "setting": setting,
    }  # fmt: skip


def timed(result: Result) -> list[Launch]:
    """Its launches that have samples."""
    return [launch for launch in result.launches if launch.samples and launch.samples.latency_ns]


def disturbances(launch: Launch) -> set[str]:
    """The notices of what slowed this launch from outside."""
    return DISTURBING_LATENCY & {notice.code for notice in launch.notices}


def clean(result: Result) -> list[Launch]:
    """Its launches that nothing disturbed. What a race noticed is of all its launches."""
    if result.race and DISTURBING_LATENCY & {notice.code for notice in result.notices}:
        return []
    return [launch for launch in timed(result) if not disturbances(launch)]


def seen(result: Result) -> list[str]:
    """The codes of what disturbed it, once for each launch."""
    whole = [notice.code for notice in result.notices if result.race and notice.code in DISTURBING_LATENCY]
    return [code for launch in timed(result) for code in {*whole, *disturbances(launch)}]


def times(launch: Launch, result: Result) -> list[int]:
    """A launch's times in ns for the scenario's figure: per request or, for throughput, per image."""
    if find(result.job.scenario).compared_by == "request":
        return [max(1, time) for time in launch.samples.latency_ns]
    return [max(1, round(launch.samples.wall_ns / len(launch.samples.latency_ns) / result.job.batch))]


def requests(launch: Launch, result: Result) -> list[int]:
    """The time of each request in ns, divided by the images that were in flight in it."""
    by_image = find(result.job.scenario).compared_by == "image"
    flight = result.job.batch * result.job.streams if by_image else 1
    return [max(1, time // flight) for time in launch.samples.latency_ns]


def machine_changes(computes: set[str], base: Sequence[Launch], new: Sequence[Launch]) -> list[float]:
    """new ÷ base of the machine's yardstick, if the processor computes and both sides measured it."""
    taken = [[found for launch in side for found in launch.yardsticks] for side in (base, new)]
    if not all(taken) or computes != {"cpu"}:
        return []
    copy, loop = yardstick.changes(*taken)
    pythons = {launch.before.get("python") for side in (base, new) for launch in side}
    return [copy, loop] if len(pythons) == 1 else [copy]  # each Python has its own speed
