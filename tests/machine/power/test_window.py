"""From looks to joules: the arithmetic against figures added up by hand, and every reason for no figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.machine.power.window import Window, account, coverage, judge, mean_mw, summary, updates
from edgebench.records.energy import Sample

S = 1_000_000_000
TEN = Window(10 * S, 20 * S)


@dataclass
class Meter:
    """One on paper: tells nothing by itself."""

    name: str = "paper"
    scope: str | None = "module"
    modelled: bool = False
    streams: bool = True
    interval_s: float = 0.1
    total_rails: tuple[str, ...] = ("VDD_IN",)

    def read(self) -> Sample | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


def looks(power: list[tuple[float, float]]) -> list[Sample]:
    """(seconds, mW) each."""
    return [Sample(round(s * S), mw, {"VDD_IN": mw}) for s, mw in power]


def every(pitch_s: float, first: float, last: float, mw=lambda s: 5000.0 + round(s * 10) % 2) -> list[Sample]:
    count = round((last - first) / pitch_s) + 1
    return looks([(first + i * pitch_s, mw(first + i * pitch_s)) for i in range(count)])


def test_trapezoids_by_hand() -> None:
    told = looks([(9, 1000), (11, 3000), (14, 3000), (16, 7000), (21, 2000)])
    # At 10 s 2 W, at 20 s 3 W: 2.5 J to 11 s, 9 J to 14 s, 10 J to 16 s, (7 + 3) / 2 × 4 = 20 J to 20 s.
    drawn = account(told, TEN)
    assert drawn.joules == pytest.approx(41.5)
    assert drawn.mean_mw == pytest.approx(4150)


POWERS = st.lists(st.floats(-1e5, 1e5), min_size=2, max_size=30)


@given(POWERS, st.lists(st.integers(1, 3 * S), min_size=29, max_size=29))
def test_trapezoids_are_the_sum_of_their_pieces(powers: list[float], gaps: list[int]) -> None:
    times = [0]
    for gap in gaps[: len(powers) - 1]:
        times.append(times[-1] + gap)
    told = [Sample(t, mw) for t, mw in zip(times, powers, strict=True)]
    by_hand = sum((p + q) / 2000 * (b - a) / S for (a, p), (b, q) in pairwise(zip(times, powers, strict=True)))
    assert account(told, Window(0, times[-1])).joules == pytest.approx(by_hand, rel=1e-9, abs=1e-6)


@given(st.floats(0, 1e5), st.integers(0, 5 * S), st.integers(1, 20 * S))
def test_constant_power_is_power_times_time_wherever_the_window_is(mw: float, start: int, length: int) -> None:
    told = [Sample(round(s * S / 7), mw) for s in range(200)]
    assert account(told, Window(start, start + length)).joules == pytest.approx(mw * length / S / 1000)


def test_a_counter_comes_before_the_power_beside_it() -> None:
    told = [Sample(i * S, 4_000.0, {}, i * 5_000_000) for i in range(31)]
    drawn = account(told, Window(10 * S + S // 2, 20 * S))
    assert (drawn.joules, drawn.counter_gap) == (pytest.approx(47.5), pytest.approx(0.2))


def test_energy_of_an_inference_gross_and_net() -> None:
    told = [*every(0.1, 0, 9.9, lambda s: 2000 + s), *every(0.1, 10, 20.1, lambda s: 6000 + s)]
    energy = judge(Meter(), told, TEN, idle=Window(2 * S, 8 * S), count=500, images=2000)
    assert energy.missing is None
    assert energy.gross_j == pytest.approx(60.15, rel=1e-3)
    assert energy.idle_power_mw == pytest.approx(2005)
    assert energy.net_j == pytest.approx(60.15 - 20.05, rel=1e-3)
    assert energy.mj_per_inference == pytest.approx(120.3, rel=1e-3)
    assert energy.mj_per_image == pytest.approx(30.075, rel=1e-3)
    assert energy.net_mj_per_inference == pytest.approx(80.2, rel=1e-3)
    assert (energy.updates, energy.coverage, energy.sample_rate_hz) == (101, 1.0, pytest.approx(10.1))
    assert energy.trace[0] == (pytest.approx(-0.1), pytest.approx(2009.9))


@pytest.mark.parametrize(
    ("missing", "told", "window"),
    [
        ("too_short", every(0.05, 0, 30), Window(10 * S, 14 * S)),
        ("failed", every(0.05, 0, 9), TEN),
        ("failed", [], TEN),
        ("too_few_updates", every(0.25, 0, 30), TEN),
        ("low_coverage", [*every(0.05, 0, 14), *every(0.05, 17, 30)], TEN),
        ("low_coverage", every(0.05, 0, 18), TEN),
        ("no_total", [replace(s, total_mw=None) for s in every(0.05, 0, 30)], TEN),
        ("negative", every(0.05, 0, 30, lambda s: -100.0 - s), TEN),
    ],
)
def test_too_little_is_no_figure_but_a_reason(missing: str, told: list[Sample], window: Window) -> None:
    energy = judge(Meter(), told, window, idle=Window(0, 5 * S), count=1, images=1)
    assert energy.missing == missing and energy.reason
    figures = (energy.mean_power_mw, energy.gross_j, energy.net_j, energy.mj_per_inference, energy.idle_power_mw)
    assert set(figures) == {None}


def test_an_idle_machine_that_was_not_seen_has_no_power_and_the_inference_no_net() -> None:
    told = [*every(0.1, 0, 2), *every(0.1, 8, 30)]
    energy = judge(Meter(), told, TEN, idle=Window(2 * S, 8 * S), count=10, images=10)
    assert (energy.missing, energy.idle_power_mw, energy.net_j, energy.net_mj_per_inference) == (None,) * 4
    assert energy.mj_per_inference is not None


def test_a_stream_is_not_stuck_and_a_register_is() -> None:
    told = every(0.1, 0, 30, lambda s: 5000.0)
    assert summary(Meter(streams=True), told, TEN).mean_power_mw == pytest.approx(5000)
    assert summary(Meter(streams=False), told, TEN).missing == "stuck"


def test_only_what_changed_is_an_update() -> None:
    told = every(0.1, 0, 30, lambda s: float(int(s)))
    assert (updates(told, TEN, streams=True), updates(told, TEN, streams=False)) == (101, 10)


def test_looks_without_a_total_are_gaps() -> None:
    told = [replace(s, total_mw=None) if 12 * S < s.at_ns < 16 * S else s for s in every(0.1, 0, 30)]
    assert coverage(told, TEN) == pytest.approx(0.6, abs=0.02)


def test_a_slow_source_has_no_gaps_at_its_own_pace() -> None:
    assert coverage(every(1.5, 0, 30), TEN) == 1


def test_a_short_window_has_a_mean_where_it_was_seen() -> None:
    told = every(0.1, 0, 14, lambda s: 1000 * s)
    assert mean_mw(told, Window(12 * S, 13 * S)) == pytest.approx(12500)
    assert mean_mw(told, Window(13 * S + S // 2, 14 * S + S // 2)) is None


def test_energy_goes_through_json(tmp_path) -> None:
    from edgebench.records import jsonio
    from edgebench.records.energy import Energy

    energy = judge(Meter(), every(0.1, 0, 30), TEN, idle=Window(0, 5 * S), count=7, images=7)
    jsonio.write(tmp_path / "energy.json", energy)
    assert jsonio.read(Energy, tmp_path / "energy.json") == energy
