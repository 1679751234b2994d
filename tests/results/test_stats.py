"""Percentiles, intervals, drift and verdicts, held against exact arithmetic, a plain definition, and simulation."""

from __future__ import annotations

import dataclasses
import random
import statistics
from fractions import Fraction

import numpy as np
import pytest
from factories import make_launch, make_samples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgebench.records.jobs import MIN_LAUNCHES
from edgebench.records.result import Launch, Samples
from edgebench.results import stats
from edgebench.results.stats import Pool

PER_MILLE = {0.5: 500, 0.9: 900, 0.95: 950, 0.99: 990, 0.999: 999}
SHARES = st.sampled_from(sorted(PER_MILLE))
TIMES = st.lists(st.integers(1, 10**12), min_size=1, max_size=300)
LAUNCHES = st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=12), min_size=1, max_size=6)


def rank(per_mille: int, n: int) -> int:
    """0-based nearest rank: ⌈n · share⌉ − 1, in integers; −(−a // b) is ⌈a / b⌉."""
    return max(0, -(-n * per_mille // 1000) - 1)


def launches(*latencies: tuple[int, ...]) -> list[Launch]:
    return [make_launch(make_samples(latency)) for latency in latencies]


# percentiles


@settings(max_examples=40)
@given(SHARES, st.integers(1, 500_000))
def test_percentile_is_the_nearest_rank_of_benchmark_app(share: float, n: int) -> None:
    assert Pool([np.arange(n)]).percentile(share) == rank(PER_MILLE[share], n)  # values that are their own ranks


@settings(max_examples=100)
@given(st.integers(1, 999), st.integers(1, 20_000))
@example(70, 100)  # 100 · 0.07 is 7.000000000000001 in binary
def test_percentile_of_any_share_is_not_at_the_whim_of_binary_fractions(per_mille: int, n: int) -> None:
    assert Pool([np.arange(n)]).percentile(per_mille / 1000) == rank(per_mille, n)


@pytest.mark.parametrize("share", PER_MILLE)
def test_percentile_at_every_small_count(share: float) -> None:
    for n in range(1, 3001):
        assert Pool([np.arange(n)]).percentile(share) == rank(PER_MILLE[share], n), n


@given(st.integers(1, 8), st.integers(1, 60), SHARES, st.randoms(use_true_random=False))
def test_launches_of_one_size_are_one_pool(count: int, n: int, share: float, source: random.Random) -> None:
    made = [[source.randint(1, 1000) for _ in range(n)] for _ in range(count)]
    pooled = sorted(value for launch in made for value in launch)
    assert Pool(made).percentile(share) == pooled[rank(PER_MILLE[share], count * n)]


@given(LAUNCHES, st.integers(1, 999))
def test_each_launch_weighs_the_same_whatever_its_size(made: list[list[int]], per_mille: int) -> None:
    """By the definition, in fractions: the smallest sample up to which this share of the weight lies."""

    def weight_up_to(value: int) -> Fraction:
        return sum((Fraction(sum(v <= value for v in one), len(one)) for one in made), Fraction(0)) / len(made)

    values = sorted({value for one in made for value in one})
    expected = next(value for value in values if weight_up_to(value) >= Fraction(per_mille, 1000))
    assert Pool(made).percentile(per_mille / 1000) == expected


def test_a_launch_of_many_samples_does_not_drown_the_others() -> None:
    fast, slow = (1,) * 10_000, (2,) * 10
    assert Pool([fast, slow, slow]).percentile(0.5) == 2


@given(TIMES, SHARES)
def test_percentile_is_always_one_of_the_samples(times: list[int], share: float) -> None:
    found = Pool([times]).percentile(share)
    assert found in times
    assert sum(time <= found for time in times) * 1000 >= PER_MILLE[share] * len(times)


@pytest.mark.parametrize(("share", "n"), [(0.5, 6), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_min_samples(share: float, n: int) -> None:
    assert stats.min_samples(share) == n
    assert Pool([range(n - 1)]).supported(share) is None
    assert Pool([range(n)]).supported(share) == Pool([range(n)]).percentile(share)
    # The chance that the percentile lies between the smallest and the largest of n samples.
    assert 1 - share**n - (1 - share) ** n >= 0.95
    assert 1 - share ** (n - 1) - (1 - share) ** (n - 1) < 0.95


@given(TIMES)
def test_median_is_the_lower_of_the_middle_two(times: list[int]) -> None:
    assert stats.median(times) == statistics.median_low(times)


# the interval of the median between launches


def simulated(source: np.random.Generator, count: int, between: float, n: int = 60) -> list[np.ndarray]:
    """Launches whose true median is 1e6 ns: each has a level of its own, and skewed noise around it."""
    levels = np.exp(source.normal(0, between, count))
    return [(1e6 * level * np.exp(source.normal(0, 0.03, n))).astype(np.int64) for level in levels]


@pytest.mark.parametrize("count", range(MIN_LAUNCHES))
def test_too_few_launches_have_no_interval(count: int) -> None:
    assert stats.median_interval([range(1, 1000)] * count) is None


def test_launches_that_agree_leave_no_doubt() -> None:
    assert stats.median_interval([(5,) * 100] * MIN_LAUNCHES) == pytest.approx((5.0, 5.0))


@pytest.mark.parametrize(("count", "least"), [(5, 0.88), (10, 0.90), (30, 0.90)])
def test_the_interval_contains_the_truth_about_95_times_in_100(count: int, least: float) -> None:
    """As it comes, the percentile bootstrap holds the median of five launches 83 times in 100: it has to be widened."""
    source = np.random.default_rng(count)
    trials = 120
    covered = 0
    for _ in range(trials):
        low, high = stats.median_interval(simulated(source, count, between=0.05, n=25))
        covered += low <= 1e6 <= high
    assert least <= covered / trials <= 0.995


def test_the_interval_narrows_with_launches_and_widens_with_their_differences() -> None:
    def width(count: int, between: float) -> float:
        source = np.random.default_rng(7)
        widths = [np.subtract(*stats.median_interval(simulated(source, count, between))[::-1]) for _ in range(10)]
        return float(np.mean(widths))

    assert width(40, 0.05) < 0.7 * width(10, 0.05)
    assert width(10, 0.01) < 0.5 * width(10, 0.05)


def test_samples_within_a_launch_do_not_pass_for_launches() -> None:
    """Ten thousand samples a launch make the interval no narrower than launches that differ by 5 % allow."""
    low, high = stats.median_interval(simulated(np.random.default_rng(1), 6, between=0.05, n=10_000))
    assert (high - low) / 1e6 > 0.02


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), min_size=MIN_LAUNCHES, max_size=8))
def test_the_interval_holds_the_median_and_repeats(made: list[list[int]]) -> None:
    low, high = stats.median_interval(made)
    assert 0 < low <= stats.Pool(made).percentile(0.5) * (1 + 1e-9) and high >= stats.Pool(made).percentile(0.5) * (
        1 - 1e-9
    )
    assert stats.median_interval(made) == (low, high), "the same launches gave another interval"


@settings(max_examples=50)
@given(st.integers(1, 5000), st.integers(0, 2**32 - 1))
def test_thinning_moves_the_median_by_a_rank_quantum_at_most(n: int, seed: int) -> None:
    samples = np.random.default_rng(seed).integers(1, 10**9, n)
    kept, ordered = stats.thinned(samples), np.sort(samples)
    assert len(kept) == min(n, stats.THINNED)
    assert set(kept) <= set(samples.tolist())
    quantum = -(-n // stats.THINNED)
    middle = rank(500, n)
    assert ordered[max(0, middle - quantum)] <= stats.median(kept) <= ordered[min(n - 1, middle + quantum)]


@settings(max_examples=20)
@given(st.integers(5, 8), st.integers(500, 5000), st.integers(0, 2**32 - 1))
def test_a_resample_of_all_launches_is_their_median_to_a_rank_quantum(count: int, n: int, seed: int) -> None:
    class EachOnce:
        """Draws every launch exactly once."""

        def multinomial(self, draws: int, shares: list[float], size: int) -> np.ndarray:
            return np.ones((size, len(shares)), dtype=int)

    made = list(np.random.default_rng(seed).integers(1, 10**9, (count, n)))
    (median,) = stats.resampled_medians(made, EachOnce(), 1)
    low, high = (Pool(made).percentile(0.5 + side / stats.THINNED) for side in (-1, 1))
    assert low <= median <= high


def test_half_width_is_a_share_of_the_median() -> None:
    summary = stats.summarise(launches(*[(10**6,) * 10] * 5), 1)
    assert stats.half_width(summary) == 0.0
    assert stats.half_width(dataclasses.replace(summary, median_ci95_ns=(0.98e6, 1.02e6))) == pytest.approx(0.02)
    assert stats.half_width(dataclasses.replace(summary, median_ci95_ns=None)) is None


# drift


def noise(source: np.random.Generator, n: int, spread: float = 0.05) -> np.ndarray:
    """Latencies about 1 ms with outliers to the right, in no order."""
    return (1e6 * np.exp(source.normal(0, spread, n)) + source.exponential(2e4, n)).astype(np.int64)


@pytest.mark.parametrize("change", [-0.10, 0.05, 0.30])
@pytest.mark.parametrize("n", [200, 5000])
def test_drift_finds_a_planted_trend(change: float, n: int) -> None:
    source = np.random.default_rng(3)
    found = [stats.drift(noise(source, n, 0.01) * np.linspace(1, 1 + change, n)) for _ in range(10)]
    assert all(value is not None for value in found)
    # From the middle of the first quarter to the middle of the last.
    assert np.mean(found) == pytest.approx((1 + change * 7 / 8) / (1 + change / 8) - 1, abs=0.01)


@pytest.mark.parametrize("n", [40, 100, 1000])
def test_drift_is_quiet_on_noise(n: int) -> None:
    source = np.random.default_rng(n)
    false = sum(stats.drift(noise(source, n)) is not None for _ in range(400))
    assert false / 400 <= 0.05


def test_drift_does_not_mind_one_stall_nor_a_trend_too_small_to_matter() -> None:
    source = np.random.default_rng(0)
    stalled = noise(source, 1000)
    stalled[500:520] *= 50
    assert stats.drift(stalled) is None
    assert stats.drift(noise(source, 5000, 0.001) * np.linspace(1, 1.01, 5000)) is None


def test_drift_has_nothing_to_say_of_few_samples() -> None:
    assert stats.drift(range(1, 40)) is None
    assert stats.drift(range(1, 41)) is not None


# figures


@given(TIMES, st.integers(1, 64), st.integers(0, 10**9))
def test_summary_of_one_launch(times: list[int], batch: int, between_ns: int) -> None:
    samples = Samples(latency_ns=tuple(times), warmup_ns=(7,), wall_ns=sum(times) + between_ns)
    summary = stats.summarise([make_launch(samples)], batch)
    assert (summary.launches, summary.n) == (1, len(times))
    assert (summary.min_ns, summary.max_ns) == (min(times), max(times))
    assert summary.mean_ns == pytest.approx(statistics.fmean(times))
    assert summary.throughput_per_s == pytest.approx(len(times) * batch * 1e9 / samples.wall_ns)
    assert summary.median_ns == (statistics.median_low(times) if len(times) >= 6 else None)
    assert (summary.p90_ns is None) == (len(times) < 29)
    assert (summary.p99_ns is None) == (len(times) < 299)
    assert summary.p999_ns is None and summary.median_ci95_ns is None and summary.device_median_ns is None


def test_summary_of_several_launches() -> None:
    made = launches((1_000_000,) * 100, (3_000_000,) * 300, (3_000_000,) * 200)
    summary = stats.summarise(made, 2)
    assert (summary.launches, summary.n, summary.median_ns) == (3, 600, 3_000_000)
    assert summary.mean_ns == pytest.approx((1e6 + 3e6 + 3e6) / 3)
    assert summary.throughput_per_s == pytest.approx(600 * 2 / 1.6)
    assert stats.summarise(launches(*[(10**6,) * 599] * 5), 1).p999_ns == 10**6, "2,995 in all"


def test_a_launch_without_samples_is_in_no_figure() -> None:
    bare = dataclasses.replace(make_launch(), samples=None)
    assert stats.summarise([bare], 1) is None
    assert stats.summarise([bare, make_launch()], 1).launches == 1


def test_throughput_is_counted_in_wall_time_and_not_from_the_latency() -> None:
    busy = make_samples((1_000_000,) * 100)
    idle = dataclasses.replace(busy, wall_ns=busy.wall_ns * 2)
    assert stats.summarise([make_launch(busy)], 4).throughput_per_s == pytest.approx(4000)
    assert stats.summarise([make_launch(idle)], 4).throughput_per_s == pytest.approx(2000)


def test_the_warm_up_is_in_no_figure() -> None:
    samples = make_samples()
    warmed = dataclasses.replace(samples, warmup_ns=(10**15,) * 50)
    assert stats.summarise([make_launch(samples)], 1) == stats.summarise([make_launch(warmed)], 1)


def test_the_order_of_the_samples_is_in_no_figure() -> None:
    samples = make_samples()
    backwards = dataclasses.replace(samples, latency_ns=samples.latency_ns[::-1])
    assert stats.summarise([make_launch(backwards)], 1) == stats.summarise([make_launch(samples)], 1)


def test_the_devices_own_time_has_a_median_of_its_own() -> None:
    samples = dataclasses.replace(make_samples((2_000_000,) * 10), device_ns=(1_500_000,) * 10)
    assert stats.summarise([make_launch(samples)], 1).device_median_ns == 1_500_000
