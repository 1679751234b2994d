"""Percentiles, intervals and figures, held against exact integer arithmetic, scipy's binomial and simulation."""

from __future__ import annotations

import dataclasses
import itertools
import random
import statistics

import pytest
from factories import make_samples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from edgebench import stats
from edgebench.jobs import Samples

PER_MILLE = {0.5: 500, 0.9: 900, 0.95: 950, 0.99: 990, 0.999: 999}
TIMES = st.lists(st.integers(1, 10**12), min_size=1, max_size=300)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(PER_MILLE)), st.integers(1, 2_000_000))
def test_percentile_is_the_nearest_rank_of_benchmark_app(share: float, n: int) -> None:
    # range(n) is n sorted samples whose values are their own 0-based ranks; −(−a // b) is ⌈a / b⌉ in integers.
    assert stats.percentile(range(n), share) == max(0, -(-n * PER_MILLE[share] // 1000) - 1)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 999), st.integers(1, 2_000_000))
@example(70, 100)  # 100 · 0.07 is 7.000000000000001 in binary
def test_percentile_of_any_share_is_not_at_the_whim_of_binary_fractions(per_mille: int, n: int) -> None:
    assert stats.percentile(range(n), per_mille / 1000) == max(0, -(-n * per_mille // 1000) - 1)


@pytest.mark.parametrize("share", PER_MILLE)
def test_percentile_at_every_small_count(share: float) -> None:
    for n in range(1, 3001):
        assert stats.percentile(range(n), share) == max(0, -(-n * PER_MILLE[share] // 1000) - 1), n


@given(TIMES, st.sampled_from(sorted(PER_MILLE)))
def test_percentile_is_always_one_of_the_samples(times: list[int], share: float) -> None:
    found = stats.percentile(sorted(times), share)
    assert found in times
    assert sum(time <= found for time in times) * 1000 >= PER_MILLE[share] * len(times)


@pytest.mark.parametrize(("share", "n"), [(0.5, 6), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)])
def test_min_samples(share: float, n: int) -> None:
    assert stats.min_samples(share) == n
    assert stats.supported(range(n - 1), share) is None
    assert stats.supported(range(n), share) == stats.percentile(range(n), share)
    # The chance that the percentile lies between the smallest and the largest of n samples.
    assert 1 - share**n - (1 - share) ** n >= 0.95
    assert 1 - share ** (n - 1) - (1 - share) ** (n - 1) < 0.95


@given(TIMES)
def test_median(times: list[int]) -> None:
    assert stats.median(sorted(times)) == statistics.median(times)


def rank_of_interval(n: int) -> int:
    """k, where the interval of n samples goes from the k-th smallest to the k-th largest."""
    low, high = stats.median_ci95(range(n))
    assert low + high == n - 1, "the interval is not symmetric in rank"
    return int(low) + 1


def test_median_interval_is_the_exact_binomial_one() -> None:
    for n in range(6, 1001):
        # The largest k with P(Binomial(n, ½) < k) ≤ 0.025.
        k = int(binom.ppf(0.025, n, 0.5))
        k += binom.cdf(k, n, 0.5) <= 0.025
        assert rank_of_interval(n) == k
        assert binom.cdf(k - 1, n, 0.5) <= 0.025 < binom.cdf(k, n, 0.5)


def test_median_interval_beyond_a_thousand_samples_is_at_most_one_rank_wider() -> None:
    for n in [*range(1001, 1201), 5_000, 20_000, 100_000]:
        exact = int(binom.ppf(0.025, n, 0.5))
        exact += binom.cdf(exact, n, 0.5) <= 0.025
        assert rank_of_interval(n) in (exact, exact - 1)


def test_median_interval_grows_with_n_and_holds_the_median() -> None:
    ranks = [rank_of_interval(n) for n in range(6, 1201)]
    assert all(0 <= after - before <= 1 for before, after in itertools.pairwise(ranks))
    assert all(k - 1 <= (n - 1) / 2 <= n - k for n, k in enumerate(ranks, start=6))


@pytest.mark.parametrize("n", range(1, 6))
def test_too_few_samples_have_no_interval(n: int) -> None:
    assert stats.median_ci95(range(n)) is None


@given(st.lists(st.integers(1, 10**12), min_size=6, max_size=300))
def test_median_interval_holds_the_median_of_any_samples(times: list[int]) -> None:
    ordered = sorted(times)
    low, high = stats.median_ci95(ordered)
    assert ordered[0] <= low <= stats.median(ordered) <= high <= ordered[-1]


@pytest.mark.parametrize("n", [6, 25, 101, 1100])
def test_median_interval_covers_the_true_median_19_times_in_20(n: int) -> None:
    """Skewed samples, as latencies are; the true median of exp(N(0, 1)) is 1."""
    source, trials = random.Random(n), 600 if n > 1000 else 2000
    covered = 0
    for _ in range(trials):
        low, high = stats.median_ci95(sorted(source.lognormvariate(0, 1) for _ in range(n)))
        covered += low <= 1 <= high
    assert covered / trials >= 0.95 - 3 * (0.95 * 0.05 / trials) ** 0.5
    assert covered / trials <= 0.99  # nor is it so wide that it says nothing


@given(TIMES, st.integers(1, 64), st.integers(0, 10**9))
def test_summary(times: list[int], batch: int, between_ns: int) -> None:
    samples = Samples(tuple(times), (7,), sum(times) + between_ns)
    summary = stats.summarise(samples, batch)
    assert summary.n == len(times)
    assert (summary.min_ns, summary.max_ns) == (min(times), max(times))
    assert summary.median_ns == statistics.median(times)
    assert summary.mean_ns == pytest.approx(statistics.fmean(times))
    assert summary.throughput_per_s == pytest.approx(len(times) * batch * 1e9 / samples.wall_ns)
    assert (summary.p90_ns is None) == (len(times) < 29)
    assert (summary.p99_ns is None) == (len(times) < 299)
    assert (summary.median_ci95_ns is None) == (len(times) < 6)


def test_throughput_is_counted_in_wall_time_and_not_from_the_latency() -> None:
    busy = make_samples((1_000_000,) * 100)
    idle = dataclasses.replace(busy, wall_ns=busy.wall_ns * 2)
    assert stats.summarise(busy, 4).throughput_per_s == pytest.approx(4000)
    assert stats.summarise(idle, 4).throughput_per_s == pytest.approx(2000)


def test_the_warm_up_is_in_no_figure() -> None:
    samples = make_samples()
    assert stats.summarise(samples, 1) == stats.summarise(dataclasses.replace(samples, warmup_ns=(10**15,) * 50), 1)


def test_the_order_of_the_samples_is_in_no_figure() -> None:
    samples = make_samples()
    backwards = dataclasses.replace(samples, latency_ns=samples.latency_ns[::-1])
    assert stats.summarise(backwards, 1) == stats.summarise(samples, 1)
