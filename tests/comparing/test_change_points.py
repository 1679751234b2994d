"""Where a series changes: against scipy, by its symmetries, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, rankdata, theilslopes

from edgebench.comparing import change_points
from edgebench.comparing.change_points import ALPHA, FEWEST, Stretch, creep, slope, step, stretches

SERIES = st.lists(st.integers(0, 50), min_size=2, max_size=40)


@settings(max_examples=40)
@given(SERIES)
def test_stretches_are_the_whole_series_in_order(values: list[int]) -> None:
    found = stretches(values)
    assert [found[0].first, *(s.end for s in found)] == [*(s.first for s in found), len(values)]
    assert all(s.end - s.first >= min(FEWEST, len(values)) for s in found)


@settings(max_examples=30)
@given(SERIES)
def test_only_the_order_of_the_values_counts(values: list[int]) -> None:
    assert stretches([math.exp(v) for v in values]) == stretches(values) == stretches([-v for v in values])


@settings(max_examples=30)
@given(SERIES)
def test_ranks_are_those_of_scipy(values: list[int]) -> None:
    assert change_points._ranks(np.array(values)).tolist() == rankdata(values).tolist()


def test_a_series_in_which_nothing_changes_shows_a_change_as_seldom_as_stated() -> None:
    random = np.random.default_rng(0)
    for n in (8, 25):
        wrong = sum(stretches(random.standard_t(3, n)) != [Stretch(0, n)] for _ in range(500))
        assert wrong <= 500 * ALPHA + 3 * math.sqrt(500 * ALPHA)


@pytest.mark.parametrize("outlier", [0.0, 5.0])
def test_a_step_is_found_where_it_is_in_spite_of_an_outlier(outlier: float) -> None:
    values = np.random.default_rng(1).normal(0, 0.005, 30) + (np.arange(30) >= 20) * 0.03
    values[7] += outlier
    assert stretches(values) == [Stretch(0, 20), Stretch(20, 30)]


def test_a_creep_is_no_staircase_and_begins_where_it_begins() -> None:
    noise = np.random.default_rng(2).normal(0, 0.003, 60)
    (whole,) = stretches(noise[:30] + 0.001 * np.arange(30))
    assert whole == Stretch(0, 30, creeps=True)
    flat, creeping = stretches(noise + np.maximum(0, np.arange(60) - 30) * 0.002)
    assert not flat.creeps and creeping.creeps and 28 <= creeping.first <= 36


def test_intervals_hold_the_truth_as_often_as_stated() -> None:
    random = np.random.default_rng(3)
    at = np.arange(12.0)
    held = 0
    for _ in range(400):
        r = step(random.normal(0, 0.02, 6), random.normal(0.03, 0.02, 9))
        c = creep(0.004 * at + random.normal(0, 0.02, 12), at)
        held += (r.low <= math.exp(0.03) <= r.high) + (c.low <= math.exp(0.044) <= c.high)
    assert 0.92 <= held / 800 <= 0.98


def test_a_slope_and_a_step_are_those_of_scipy() -> None:
    random = np.random.default_rng(4)
    at, values = np.sort(random.uniform(0, 10, 20)), random.normal(0, 1, 20)
    theirs = theilslopes(values, at)
    assert slope(values, at) == pytest.approx(theirs.slope)
    assert math.log(creep(values, at).low) / (at[-1] - at[0]) == pytest.approx(theirs.low_slope, abs=0.03)
    before, after = values[:9], values[9:] + 3
    low = math.log(step(before, after).low)  # the test of ranks refuses a shift just below the interval, at 5 %
    assert mannwhitneyu(before + low + 1e-9, after, method="asymptotic").pvalue == pytest.approx(0.05, abs=0.02)
