"""Computes the energy of a window of time from a meter's readings, or states why there is no figure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from edgebench.protocols import Meter
from edgebench.records.energy import Energy, Missing, Sample

MIN_WINDOW_S = 5.0
MIN_UPDATES = 50
MIN_COVERAGE = 0.9
GAP_S = 1.0  # a longer time between two looks, or five times the usual one, counts as not covered
INSIDE = 1.05  # a rail inside the whole may appear this much larger, since the two are not read at the same moment
RULED = ("module", "system")  # scopes whose rails are all inside the whole


@dataclass(frozen=True)
class Window:
    """A span of the clock by which samples are stamped."""

    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True)
class EnergyDrawn:
    """The energy drawn in a window. `counter_gap`: the share by which a counter and the integrated power differ, if the
    meter has both."""

    mean_mw: float
    joules: float
    counter_gap: float | None = None


def account(samples: Sequence[Sample], window: Window) -> EnergyDrawn | None:
    """Trapezoids between the looks, cut at the ends of the window, or a counter's advance. None with too few looks."""
    known = [s for s in samples if s.total_mw is not None]
    counted = [s for s in samples if s.total_uj is not None]
    joules = _trapezoids([s.at_ns for s in known], [s.total_mw for s in known], window)
    gap = None
    if len(counted) > 1:
        times = [s.at_ns for s in counted]
        at_start, at_end = np.interp([window.start_ns, window.end_ns], times, [s.total_uj for s in counted])
        integrated, joules = joules, float(at_end - at_start) / 1e6
        gap = abs(integrated - joules) / joules if integrated is not None and joules > 0 else None
    return None if joules is None else EnergyDrawn(joules * 1000 / window.seconds, joules, gap)


def _trapezoids(times_ns: Sequence[int], power_mw: Sequence[float], window: Window) -> float | None:
    """∫ power dt in joules. Where the window is wider than the looks, the nearest look is used."""
    if len(times_ns) < 2:
        return None
    inside = [i for i, t in enumerate(times_ns) if window.start_ns < t < window.end_ns]
    edges = np.interp([window.start_ns, window.end_ns], times_ns, power_mw)
    times = [window.start_ns, *(times_ns[i] for i in inside), window.end_ns]
    powers = [edges[0], *(power_mw[i] for i in inside), edges[1]]
    seconds = np.diff(np.asarray(times, dtype=np.int64)) / 1e9
    return float(np.sum((np.asarray(powers[1:]) + np.asarray(powers[:-1])) / 2 * seconds)) / 1000


def updates(samples: Sequence[Sample], window: Window, streams: bool) -> int:
    """How many looks inside the window had a new value: in a stream all, else those that differ from the one before."""
    inside = [s for s in samples if window.start_ns <= s.at_ns <= window.end_ns and s.total_mw is not None]
    if streams:
        return len(inside)
    told = [(s.total_uj,) if s.total_uj is not None else tuple(sorted(s.rails_mw.items())) for s in inside]
    return sum(now != before for before, now in pairwise(told))


def coverage(samples: Sequence[Sample], window: Window) -> float:
    """The share of the window between looks that have no long gap between them."""
    times = [s.at_ns for s in samples if s.total_mw is not None]
    gaps = [(before, now) for before, now in pairwise(times) if now > before]
    if not gaps or window.end_ns <= window.start_ns:
        return 0.0
    longest = max(GAP_S * 1e9, 5 * statistics.median(now - before for before, now in gaps))
    seen = (
        min(now, window.end_ns) - max(before, window.start_ns)
        for before, now in gaps
        if now - before <= longest and now > window.start_ns and before < window.end_ns
    )
    return sum(seen) / (window.end_ns - window.start_ns)


def judge(meter: Meter, samples: Sequence[Sample], window: Window, *, idle: Window, count: int, images: int) -> Energy:
    """The energy of `count` inferences with `images` images in total, made in the window; `idle` was before it."""
    energy = summary(meter, samples, window)
    if energy.gross_j is None:
        return energy
    idle_mw = mean_mw(samples, idle) if idle.seconds > 0 else None
    net_j = None if idle_mw is None else energy.gross_j - idle_mw / 1000 * window.seconds
    return replace(
        energy,
        idle_power_mw=idle_mw,
        net_j=net_j,
        mj_per_inference=energy.gross_j * 1000 / count if count else None,
        mj_per_image=energy.gross_j * 1000 / images if images else None,
        net_mj_per_inference=net_j * 1000 / count if count and net_j is not None else None,
        inferences=count,
    )


def summary(
    meter: Meter, samples: Sequence[Sample], window: Window, *,
    min_window_s: float = MIN_WINDOW_S, min_updates: int = MIN_UPDATES,
) -> Energy:  # fmt: skip
    """The meter's figures for the window, or the reason why there are none."""
    energy = Energy(
        source=meter.name,
        scope=meter.scope,
        modelled=meter.modelled,
        window_s=window.seconds,
        total_rails=meter.total_rails,
    )
    near = _around(samples, window)
    new, covered = updates(near, window, meter.streams), coverage(near, window)
    inside = [s for s in near if window.start_ns <= s.at_ns <= window.end_ns]
    rate = len(inside) / window.seconds if window.seconds > 0 else 0.0
    energy = replace(energy, updates=new, coverage=covered, sample_rate_hz=rate)
    if window.seconds < min_window_s:
        reason = f"the window was {window.seconds:.2f} s long, but must have {min_window_s:g} s"
        return replace(energy, missing="too_short", reason=reason)
    if problem := _problem(energy, inside, min_updates):
        return replace(energy, missing=problem[0], reason=problem[1] + faults_of(meter))
    drawn = account(near, window)
    assert drawn is not None  # fewer than two looks are too few updates
    rails = {name: _mean(near, name, window) for name in sorted({name for s in inside for name in s.rails_mw})}
    if drawn.mean_mw <= 0:
        what = f"the whole is {drawn.mean_mw:,.0f} mW on average: the current flows backwards, or the sign is wrong"
        return replace(energy, missing="negative", reason=what, rails_mw=rails)
    largest = max(rails, key=lambda name: rails[name], default="")
    back_mw = -sum(min(rails.get(name, 0.0), 0.0) for name in meter.total_rails)  # a rail that feeds another
    if meter.scope in RULED and rails.get(largest, 0) > INSIDE * (drawn.mean_mw + back_mw):
        what = (
            f"{largest} draws {rails[largest]:,.0f} mW, more than the whole ({' + '.join(meter.total_rails)}) at "
            f"{drawn.mean_mw:,.0f} mW: the carrier board labels its rails wrongly"
        )
        return replace(energy, missing="mislabelled", reason=what, rails_mw=rails)
    known = [s.total_mw for s in inside if s.total_mw is not None]
    return replace(
        energy,
        mean_power_mw=drawn.mean_mw,
        min_power_mw=min(known),
        max_power_mw=max(known),
        gross_j=drawn.joules,
        counter_gap=drawn.counter_gap,
        rails_mw=rails,
        trace=tuple(((s.at_ns - window.start_ns) / 1e9, s.total_mw) for s in near if s.total_mw is not None),
    )


def faults_of(meter: Meter) -> str:
    """Why rails of the whole could not be read, and how often, as the end of a sentence; "" if they could."""
    known: Mapping[tuple[str, str], int] = getattr(meter, "faults", {})
    rails: dict[str, list[str]] = {}
    for (rail, why), times in known.items():
        if rail in meter.total_rails:
            rails.setdefault(why, []).append(f"{rail} ({times} times)")
    return "".join(f"; not read: {', '.join(names)}: {why}" for why, names in rails.items())


def mean_mw(samples: Sequence[Sample], window: Window) -> float | None:
    """The mean power in a window that may be short, in mW; None if less than 90 % of it was covered."""
    near = _around(samples, window)
    drawn = account(near, window) if coverage(near, window) >= MIN_COVERAGE else None
    return drawn.mean_mw if drawn else None


def _around(samples: Sequence[Sample], window: Window) -> list[Sample]:
    """The looks inside the window and one on each side."""
    inside = [i for i, s in enumerate(samples) if window.start_ns <= s.at_ns <= window.end_ns]
    if inside:
        return list(samples[max(0, inside[0] - 1) : inside[-1] + 2])
    before = [s for s in samples if s.at_ns < window.start_ns][-1:]
    return [*before, *[s for s in samples if s.at_ns > window.end_ns][:1]]


def _mean(samples: Sequence[Sample], rail: str, window: Window) -> float:
    told = [(s.at_ns, s.rails_mw[rail]) for s in samples if rail in s.rails_mw]
    joules = _trapezoids([at for at, _ in told], [mw for _, mw in told], window)
    return told[0][1] if joules is None else joules * 1000 / window.seconds


def _problem(energy: Energy, inside: Sequence[Sample], min_updates: int) -> tuple[Missing, str] | None:
    """Why the looks inside a window do not give a figure; None if they do."""
    if not inside:
        return "failed", f"{energy.source} gave no value in {energy.window_s:.1f} s"
    if all(s.total_mw is None for s in inside):
        seen = ", ".join(sorted({name for s in inside for name in s.rails_mw})) or "no rails at all"
        return "no_total", f"the whole is {' + '.join(energy.total_rails)}, but {energy.source} shows {seen}"
    if energy.updates == 0 and len(inside) > 1:
        return "stuck", f"{energy.source} gave the same value in all {len(inside)} looks: the sensor is stuck"
    if energy.updates < min_updates:
        what = f"{energy.source} gave {energy.updates} new values in {energy.window_s:.1f} s; {min_updates} are needed"
        return "too_few_updates", what
    if energy.coverage < MIN_COVERAGE:
        return (
            "low_coverage",
            f"{energy.source} covered {energy.coverage:.0%} of the window; {MIN_COVERAGE:.0%} are needed",
        )
    return None
