"""The power pass: repeats the loop of a scenario under a meter, apart from the launches that are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from edgebench.errors import Unsupported, UsageError
from edgebench.machine import scenario_registry
from edgebench.machine.device import Profile, matches
from edgebench.machine.fingerprint import ROOT
from edgebench.machine.power import PowerOptions, open_meter
from edgebench.machine.power.place import Place
from edgebench.machine.power.sampling import Sampler
from edgebench.machine.power.window import MIN_UPDATES, MIN_WINDOW_S, Window, judge, mean_mw, updates
from edgebench.measuring import process
from edgebench.records.energy import Energy
from edgebench.records.jobs import Job
from edgebench.records.notices import DISTURBING_POWER, Notice, notice
from edgebench.records.result import Result, Samples

IDLE_S = 5.0
LONGEST_S = 240.0  # a slow meter gets a longer window, up to this
MOST_REQUESTS_A_SECOND = 50_000
DISAGREE = 0.10  # between an energy counter and the power read beside it
BUSY = 0.10  # share of all cores; an idle machine uses less


@dataclass(frozen=True)
class PowerPass:
    """The power measurement of a run with these options on this device. Meters read files below `root`."""

    options: PowerOptions
    profile: Profile
    root: Path = ROOT

    def possible(self, evidence: str) -> bool:
        """Whether what is drawn here is what the device draws: not where another machine stands in for it."""
        return evidence == "measured" or (evidence == "emulated" and matches(self.profile, self.root))

    def check(self, compute: str, evidence: str) -> None:
        """Raise Unsupported before anything is measured if the meter that the user named does not work here."""
        if self.possible(evidence) and self.options.meter not in ("auto", "none"):
            open_meter(self.options.meter, self._place, compute).close()

    @property
    def _place(self) -> Place:
        return Place(self.profile, self.root, self.options.watts)

    def measure(self, result: Result, on_phase: Callable[[str], None] = lambda phase: None) -> Result:
        """Run the job of a finished result again under the meter; add the energy and notices of what makes it doubtful.

        Never raises for what the meter or the worker does: a figure that cannot be measured is None, with the reason.
        """
        job = result.job
        sampler = self._open(job)
        if isinstance(sampler, Energy):
            return replace(result, energy=sampler)
        with sampler:
            on_phase("power: the idle machine")
            idle, busy = _watch_idle(sampler)
            if sampler.error:
                return replace(result, energy=_nothing(sampler, "failed", sampler.error.message))
            on_phase("power: measuring")
            one = process.run_job(_longer(job, sampler, idle, self.options.seconds), result.artifact, verify=False)
            samples = one.launches[0].samples if one.launches else None
            if samples:
                sampler.wait_past(samples.began_ns + samples.wall_ns)
        if one.status != "ok" or samples is None:
            reason = f"its launch ended as {one.status}: {one.message}"
            return replace(result, energy=_nothing(sampler, "failed", reason))
        return _with_energy(result, sampler, idle, busy, samples, one.launches[0].notices)

    def beside(self, job: Job, measure: Callable[[], Result], on_phase: Callable[[str], None]) -> Result:
        """Make a measurement of minutes under the meter, since a second pass would only repeat it. Adds the energy of
        the whole and the power of each window."""
        sampler = self._open(job)
        if isinstance(sampler, Energy):
            return replace(measure(), energy=sampler)
        with sampler:
            on_phase("power: the idle machine")
            idle, busy = _watch_idle(sampler)
            result = measure()
            launch = result.launches[0] if result.launches else None
            if result.status != "ok" or launch is None or launch.samples is None:
                return result
            samples = launch.samples
            sampler.wait_past(samples.began_ns + samples.wall_ns, limit_s=1.0)
        looks, spans = sampler.samples, _spans(launch.windows, samples)
        windows = tuple(
            replace(window, power_mw=mean_mw(looks, span)) for window, span in zip(launch.windows, spans, strict=True)
        )
        result = replace(result, launches=(replace(launch, windows=windows), *result.launches[1:]))
        return _with_energy(result, sampler, idle, busy, samples, ())

    def _open(self, job: Job) -> Sampler | Energy:
        """A sampler on a meter, or an `Energy` with the reason why there is none."""
        if self.options.meter == "none":
            return Energy(missing="off", reason="not asked for: --power none")
        if not self.possible(job.evidence):
            return Energy(missing="emulated", reason=f"this machine is not a {job.device}: no power measured")
        scenario = scenario_registry.load(job.scenario)
        if scenario.power == "none":
            return Energy(missing="scenario", reason=scenario.no_power)
        try:
            meter = open_meter(self.options.meter, self._place, job.compute)
        except (Unsupported, UsageError) as error:
            return Energy(missing="no_meter", reason=error.message)
        return Sampler(meter)


def _watch_idle(sampler: Sampler) -> tuple[Window, float]:
    """The idle window before the model runs, and the share of the cores that other programs used in it."""
    sampler.wait_past(0)  # a tool takes a moment to print its first line
    psutil.cpu_percent()
    began_ns = time.perf_counter_ns()
    sampler.wait(IDLE_S)
    return Window(began_ns, time.perf_counter_ns()), psutil.cpu_percent() / 100


def _longer(job: Job, sampler: Sampler, idle: Window, seconds: float) -> Job:
    """The job of the power pass: as long as asked for, or as long as this meter needs for enough updates."""
    new = updates(sampler.samples, idle, sampler.meter.streams)
    pace_s = idle.seconds / new if new else 0.0
    seconds = max(seconds, MIN_WINDOW_S, min(LONGEST_S, pace_s * MIN_UPDATES * 1.1))
    if margin_s := scenario_registry.load(job.scenario).power_margin_s:
        seconds += margin_s(job)
    return replace(
        job,
        duration_s=seconds,
        max_iterations=max(job.max_iterations, round(seconds * MOST_REQUESTS_A_SECOND)),
        time_limit_s=max(job.time_limit_s, job.warmup_s + seconds + 120),
    )


def _with_energy(
    result: Result, sampler: Sampler, idle: Window, busy: float, samples: Samples, seen: Sequence[Notice]
) -> Result:
    window, count = _window(result.job, samples)
    energy = judge(sampler.meter, sampler.samples, window, idle=idle, count=count, images=count * result.job.batch)
    if energy.missing and sampler.error:  # a meter that stopped after the window has told enough
        energy = replace(energy, missing="failed", reason=sampler.error.message)
    notices = [*doubts(energy, busy), *_disturbed(seen)] if energy.missing is None else []
    return replace(result, energy=energy, notices=(*result.notices, *notices))


def _window(job: Job, samples: Samples) -> tuple[Window, int]:
    """The timed loop, or the part of it that the scenario counts, and the number of requests in it."""
    length_ns, count = samples.wall_ns, len(samples.latency_ns)
    if counted := scenario_registry.load(job.scenario).power_window:
        length_ns, count = counted(job, samples)
    return Window(samples.began_ns, samples.began_ns + length_ns), count


def _nothing(sampler: Sampler, missing: str, reason: str) -> Energy:
    meter = sampler.meter
    return Energy(
        source=meter.name,
        scope=meter.scope,
        modelled=meter.modelled,
        missing=missing,
        reason=reason,
        total_rails=meter.total_rails,
    )


def doubts(energy: Energy, busy: float) -> list[Notice]:
    """Notices of what makes an energy figure doubtful. `busy`: the share of all cores in use before the model ran."""
    found = []
    if energy.counter_gap is not None and energy.counter_gap > DISAGREE:
        found.append(notice("power_disagrees", meter=energy.source, gap=energy.counter_gap))
    if energy.min_power_mw == energy.max_power_mw:
        found.append(notice("power_constant", meter=energy.source, power_mw=energy.max_power_mw))
    if busy > BUSY:
        found.append(notice("idle_was_busy", busy=busy))
    if energy.net_j is not None and energy.net_j < 0:
        found.append(notice("net_negative"))
    return found


def _disturbed(seen: Sequence[Notice]) -> list[Notice]:
    return [
        notice("power_pass_disturbed", message=disturbance.message, remedy=disturbance.remedy)
        for disturbance in seen
        if disturbance.code in DISTURBING_POWER
    ][:1]


def _spans(windows: Sequence, samples: Samples) -> list[Window]:
    """The windows of a sustained run, each until the next one starts."""
    starts = [samples.began_ns + round(window.start_s * 1e9) for window in windows]
    ends = [*starts[1:], samples.began_ns + samples.wall_ns]
    return [Window(start, end) for start, end in zip(starts, ends, strict=True)]
