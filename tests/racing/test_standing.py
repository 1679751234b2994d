"""Who is called faster or slower in a race: seldom wrongly, and soon enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.racing.heat import Heat, merged
from edgebench.racing.standing import FEWEST, Standing, launch_effects
from edgebench.results.races import Part, between, student_t


def effects(seed: int, launches: int, settings: int, deviation: float | np.ndarray, **slower: float) -> np.ndarray:
    """Launches of settings that are equal, but for those named s0, s1, … that are slower by a share."""
    found = np.random.default_rng(seed).normal(0, 1, (launches, settings)) * deviation
    for name, share in slower.items():
        found[:, int(name[1:])] += math.log(1 + share)
    return found


def decisions(seen: np.ndarray) -> set[str]:
    """All decisions of all pairs at all looks."""
    settings = range(seen.shape[1])
    return {
        Standing(seen[:n]).decide(i, j) for n in range(FEWEST, len(seen) + 1, 2) for i in settings for j in settings[:i]
    }


@pytest.mark.parametrize(
    "deviation",
    [0.01, np.array([0.003, 0.003, 0.003, 0.1]), np.array([0.002, 0.005, 0.01, 0.02])],
    ids=["alike", "one-is-wild", "all-differ"],
)
def test_equal_settings_are_seldom_called_different(deviation: float | np.ndarray) -> None:
    wrong = [bool(decisions(effects(seed, 9, 4, deviation)) & {"faster", "slower"}) for seed in range(25)]
    assert sum(wrong) <= 1


def test_one_that_is_slower_by_3_percent_is_found_and_equal_ones_tie() -> None:
    for seed in range(10):
        standing = Standing(effects(seed, 8, 10, 0.003, s4=0.03))
        assert {standing.decide(4, other) for other in range(10) if other != 4} == {"slower"}
        assert {standing.decide(4 - 4, other) for other in (1, 2, 3, 5)} == {"tie"}
        assert standing.order[-1] == 4


def test_one_of_two_speeds_widens_nobody_elses_interval() -> None:
    quiet = effects(1, 6, 5, 0.004)
    wild = quiet.copy()
    wild[::2, 4] += math.log(2)
    alone, beside = (Standing(seen).difference(1, 0) for seen in (quiet, wild))
    assert beside.high / beside.low < (alone.high / alone.low) ** 2
    two_speeds = Standing(wild).difference(4, 0)
    assert two_speeds.high / two_speeds.low > 1.5 and Standing(wild).decide(4, 0) == "undecided"


@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(2, 6))
def test_a_ratio_turned_round_is_its_inverse(seed: int, launches: int, settings: int) -> None:
    standing = Standing(effects(seed, launches, settings, 0.02, s1=0.1))
    there, back = standing.difference(1, 0), standing.difference(0, 1)
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert (there.low, there.high) == pytest.approx((1 / back.high, 1 / back.low))
    assert there.low <= there.ratio <= there.high


def test_nothing_is_decided_before_the_first_look_and_nothing_known_of_one_launch() -> None:
    clear = effects(0, FEWEST - 1, 3, 0.001, s1=1.0)
    assert Standing(clear).decide(1, 0) == "undecided"
    assert Standing(clear[:1]).difference(1, 0) is None
    assert Standing(effects(0, FEWEST, 3, 0.001, s1=1.0)).decide(1, 0) == "slower"


def test_a_setting_that_left_keeps_its_place_and_its_ratio() -> None:
    seen = effects(3, 8, 3, 0.002, s2=0.5, s1=0.1)
    seen[5:, 2] = np.nan
    seen[5:] -= np.nanmean(seen[5:], axis=1, keepdims=True)  # effects are relative to those that are left
    standing = Standing(seen)
    assert standing.order == [0, 1, 2]
    assert standing.difference(2, 0).ratio == pytest.approx(1.5, rel=0.01)
    assert standing.pairs() == [(0, 1), (1, 2)] and standing.pairs(best_only=True) == [(0, 1), (0, 2)]


def test_a_machine_that_changes_its_speed_changes_no_effect() -> None:
    rng = np.random.default_rng(0)
    ours = np.log([1.0, 1.2, 3.0])
    speed = rng.normal(0, 0.3, (200, 1)).cumsum(axis=0)
    found = launch_effects(ours + speed)
    assert found == pytest.approx(ours - ours[1])


def test_heats_meet_through_their_pace_setter() -> None:
    nan = math.nan
    first, second = Heat(settings=3), Heat(settings=3)
    first.effects, second.effects = lambda: np.array([0.0, 0.5, nan]), lambda: np.array([-1.0, nan, 1.0])
    assert merged([first, second], 0) == pytest.approx([0.0, 0.5, 2.0])


def test_two_results_of_a_race_know_their_ratio_and_those_of_two_races_do_not() -> None:
    seen = effects(5, 6, 4, 0.004, s1=0.07)
    standing = Standing(seen)
    one, other = (Part("race", tuple(map(float, seen[:, i])), 4, standing.scatter) for i in (1, 0))
    found, known = between(one, other), standing.difference(1, 0)
    assert found == pytest.approx((known.ratio, known.low, known.high))
    assert between(one, other._replace(race="another")) is None


@pytest.mark.parametrize(
    ("share", "freedom", "quantile"),
    [(0.975, 1, 12.7062), (0.975, 4, 2.7764), (0.995, 10, 3.1693), (0.9999, 5, 9.6776), (0.975, 5000, 1.96)],
)
def test_the_quantiles_of_students_t_are_those_of_the_tables(share: float, freedom: int, quantile: float) -> None:
    assert student_t(share, freedom) == pytest.approx(quantile, rel=1e-4)
