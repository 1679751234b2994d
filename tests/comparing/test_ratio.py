"""The statistics of a comparison: against enumeration and scipy, by their symmetries, and by simulation."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from simulated import outcomes

from edgebench.commands import ab as ab_command
from edgebench.commands import crosscheck as crosscheck_command
from edgebench.comparing import ratio
from edgebench.comparing.ab import AbComparison
from edgebench.comparing.crosscheck import Agreement
from edgebench.comparing.ratio import Ratio, Witnesses
from edgebench.results import stats

LAUNCH = st.lists(st.integers(1_000, 10**7), min_size=1, max_size=12)
SIDE = st.lists(LAUNCH, min_size=2, max_size=7)
FEW = st.lists(st.integers(0, 9), min_size=1, max_size=6)


def side(random: np.random.Generator, n: int, spread: float = 0.02, requests: int = 41) -> list[list[int]]:
    effects = np.exp(random.normal(0, 0.013, n))
    return [list((1e7 * e * np.exp(spread * random.gamma(1.5, size=requests))).astype(int)) for e in effects]


@settings(max_examples=25)
@given(SIDE, SIDE)
def test_swapped_sides_give_the_inverse(base: list[list[int]], new: list[list[int]]) -> None:
    there, back = ratio.of_launches(base, new), ratio.of_launches(new, base)
    if ratio.stats.Pool(base).percentile(0.5) != ratio.stats.Pool(new).percentile(0.5):
        assert (back.ratio, back.low, back.high) == pytest.approx((1 / there.ratio, 1 / there.high, 1 / there.low))
    assert ratio.of_fastest(new, base) == pytest.approx(1 / ratio.of_fastest(base, new))


@settings(max_examples=25)
@given(SIDE, SIDE, st.integers(2, 1000))
def test_the_unit_of_time_is_of_no_account(base: list[list[int]], new: list[list[int]], factor: int) -> None:
    def scaled(launches: list[list[int]]) -> list[list[int]]:
        return [[time * factor for time in launch] for launch in launches]

    one, other = ratio.weigh(base, new), ratio.weigh(scaled(base), scaled(new))
    assert (one.ratio.ratio, one.ratio.low, one.ratio.high) == pytest.approx(
        (other.ratio.ratio, other.ratio.low, other.ratio.high)
    )
    assert (one.fastest, one.drift, one.spread, one.p) == pytest.approx(
        (other.fastest, other.drift, other.spread, other.p)
    )


@pytest.mark.parametrize(("n", "least"), [(5, 0.88), (9, 0.90), (15, 0.90)])
def test_the_interval_covers_what_it_says(n: int, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a true ratio of 1.1; the plain percentile interval of five launches covers about 88 %."""
    monkeypatch.setattr(ratio.stats, "RESAMPLES", 400)
    random = np.random.default_rng(n)
    covered = 0
    for _ in range(100):
        found = ratio.of_launches(side(random, n), [[int(t * 1.1) for t in x] for x in side(random, n)])
        covered += found.low <= 1.1 <= found.high
    assert covered / 100 >= least


def by_enumeration(base: list[int], new: list[int]) -> float:
    """Mann and Whitney's p from all ways to choose the base among the pooled values."""

    def u(chosen: list[int], rest: list[int]) -> float:
        return sum((a > b) + (a == b) / 2 for a in chosen for b in rest)

    pooled, seen = base + new, u(base, new)
    found = []
    for choice in itertools.combinations(range(len(pooled)), len(base)):
        chosen, rest = [pooled[i] for i in choice], [v for i, v in enumerate(pooled) if i not in choice]
        found.append(u(chosen, rest))
    tails = sum(value <= seen for value in found), sum(value >= seen for value in found)
    return min(1.0, 2 * min(tails) / len(found))


@settings(max_examples=100)
@given(FEW, FEW)
def test_mann_whitney_is_the_enumeration_with_ties_and_without(base: list[int], new: list[int]) -> None:
    assert ratio.mann_whitney(base, new) == pytest.approx(by_enumeration(base, new))


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 20), (9, 9), (40, 31)])
def test_mann_whitney_is_scipys(n: int, m: int) -> None:
    random = np.random.default_rng(n * m)
    base, new = random.normal(0, 1, n), random.normal(0.8, 1, m)
    assert ratio.mann_whitney(base, new) == pytest.approx(mannwhitneyu(base, new, method="exact").pvalue)


def test_mann_whitney_of_many_launches_is_normal() -> None:
    base, new = list(range(0, 120, 2)), list(range(9, 130, 2))
    approximate = ratio.mann_whitney(base, new)
    assert approximate == pytest.approx(mannwhitneyu(base, new, method="exact").pvalue, abs=0.003)
    assert ratio.mann_whitney([1] * 5, [1] * 5) == 1


@pytest.mark.parametrize(("n", "m"), [(5, 5), (5, 9), (9, 9)])
def test_the_least_p_is_that_of_sides_that_do_not_overlap(n: int, m: int) -> None:
    assert ratio.mann_whitney(list(range(n)), list(range(n, n + m))) == pytest.approx(ratio.least_p(n, m))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_raises_each_p_keeps_their_order_and_bonferroni_is_no_lower(p_values: list[float]) -> None:
    corrected = ratio.holm(p_values)
    for p, q in zip(p_values, corrected, strict=True):
        assert p <= q <= min(1.0, p * len(p_values)) + 1e-12
    ordered = [q for _, q in sorted(zip(p_values, corrected, strict=True))]
    assert ordered == sorted(ordered)


def test_holm_of_the_textbook() -> None:
    assert ratio.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert ratio.holm([]) == []


def test_drift_is_a_trend_and_not_noise() -> None:
    assert ratio.drift([100, 101, 103, 106, 110]) == pytest.approx(108 / 100.5 - 1)
    assert ratio.drift([100, 110, 101, 106, 103]) == 0
    assert ratio.drift([1000, 1001, 1002, 1003, 1004]) == 0, "less than the band"


def test_the_fastest_requests_tell_a_load_from_a_slower_model() -> None:
    quiet = [[100, 101, 102, 103]] * 4
    loaded = [[100, 101, 140, 150], [99, 130, 160, 190], [120, 150, 150, 150]]
    assert ratio.of_fastest(quiet, loaded) == 1
    assert ratio.of_fastest(quiet, [[time * 2 for time in launch] for launch in quiet]) == 2


CLEAR = Witnesses(ratio=Ratio(1.1, 1.08, 1.12), fastest=1.09, drift=0.0, spread=0.01, p=0.001)


@pytest.mark.parametrize(
    ("changes", "p_holm", "says"),
    [
        ({}, 0.051, "Mann–Whitney"),
        ({"drift": -0.07}, 0.001, "drifted by -7.0%"),
        ({"machine": 1.07}, 0.001, "the machine itself was 7.0% slower in new"),
        ({"fastest": 1.009}, 0.001, "fastest requests"),
        ({"fastest": 1.05, "spread": 0.06}, 0.001, "fastest requests"),
        ({"fastest": 0.9}, 0.001, "fastest requests"),
        ({"ratio": Ratio(1.05, 1.01, 1.09)}, 0.001, "neither outside nor inside"),
    ],
)
def test_each_witness_can_veto(changes: dict, p_holm: float, says: str) -> None:
    assert CLEAR.verdict(0.05) == ("slower", "")
    verdict, reason = Witnesses(**{**vars(CLEAR), **changes}).verdict(p_holm)
    assert verdict == "inconclusive" and says in reason


@pytest.mark.parametrize("n", [5, 9])
def test_false_alarms_under_changing_load_are_rare(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The full calibration is `python tests/simulated.py 1000`; this is its smoke alarm."""
    monkeypatch.setattr(ratio.stats, "RESAMPLES", 400)
    found = outcomes(80, n)
    assert found["faster"] + found["slower"] <= 2, found


def test_a_slowdown_of_five_percent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratio.stats, "RESAMPLES", 400)
    found = outcomes(60, 9, slower=1.05, loaded=0.0)
    assert found["slower"] >= 52 and not found["faster"] and not found["equivalent"], found


def test_student_t_is_the_tables() -> None:
    for freedom, expected in {1: 12.706, 4: 2.776, 5: 2.571, 8: 2.306, 16: 2.120, 38: 2.024}.items():
        assert math.isclose(stats.student_t_975(freedom), expected, rel_tol=0.005)


# The tables of the sign test: how many of n lie outside its two-sided 95 % interval for the median on either side.
@pytest.mark.parametrize(("n", "cut"), [(6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (15, 3), (20, 5), (25, 7)])
def test_the_interval_of_launches_leaves_out_as_many_as_the_sign_test_does(n: int, cut: int) -> None:
    ordered = sorted(launches := np.random.default_rng(n).normal(1.05, 0.01, n))
    found = ratio.of_ratios(launches)
    assert (found.low, found.high) == (ordered[cut], ordered[-1 - cut])


@pytest.mark.parametrize("launches", [[1.35], [1.35, 7.78], [1.05] * 5, [0.2, 3.0, 1.4]])
def test_too_few_launches_have_no_interval_and_no_verdict(launches: list[float]) -> None:
    found = ratio.of_ratios(launches)
    assert (found.ratio, found.low, found.high) == (statistics.median(launches), None, None)
    assert found.verdict() == "inconclusive"


def test_a_comparison_without_an_interval_says_what_was_seen_and_what_it_takes() -> None:
    launches = (7.78, 1.35)
    between = ratio.of_ratios(launches)
    found = AbComparison(
        base="onnxruntime", new="openvino", ratio=between, verdict="inconclusive", bursts=12, launches=launches,
        base_median_ns=2_000_000, new_median_ns=2_700_000, base_fastest_ns=1, new_fastest_ns=1, stop="max_seconds",
        seconds=8.0,
    )  # fmt: skip
    first, second, *sides = ab_command._told(found).splitlines()
    assert first == (
        "inconclusive: B ÷ A was between 1.350 and 7.780 in 2 launches, which are too few for an interval: it takes 6; "
        "12 bursts of each, 8 s; the time was up before that was certain: --max-seconds 28"
    )
    assert second.endswith("1.350, 7.780") and "2.000 ms" in sides[0] and "2.700 ms" in sides[1]
    one = Agreement(rival="trtexec", figure="median_ns", ours=3.0, theirs=2.0, ratio=between, rounds=2)
    assert [*crosscheck_command._table([one]).columns[5].cells] == ["–"]


@pytest.mark.parametrize("n", [6, 10])
def test_the_interval_of_launches_holds_the_truth_as_often_as_it_says(n: int) -> None:
    random = np.random.default_rng(0)
    held = [
        found.low <= 1.05 <= found.high
        for found in (ratio.of_ratios(1.05 * np.exp(random.normal(0, 0.02, n))) for _ in range(1000))
    ]
    assert 0.93 < np.mean(held) < 0.99


@pytest.mark.parametrize("spoiled", [0.5, 2.0])
def test_a_spoiled_launch_does_not_hide_a_slowdown(spoiled: float) -> None:
    assert ratio.of_ratios([1.051, 1.047, 1.053, 1.049, 1.05, 1.052, 1.048, 1.046, spoiled]).verdict() == "slower"
