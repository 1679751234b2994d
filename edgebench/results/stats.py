"""Percentiles and their intervals over launches; how many samples each needs; whether a run was steady."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebench.records.jobs import MIN_LAUNCHES
from edgebench.records.result import Launch, Summary

RESAMPLES = 2000
Z_975 = 1.959964  # the 97.5 % quantile of the normal distribution
THINNED = 401  # order statistics that represent a launch in the bootstrap: one rank is a quarter of a percent


def min_samples(share: float) -> int:
    """The fewest samples that bound this percentile with 95 % confidence: p50 6, p90 29, p95 59, p99 299, p99.9 2995.

    The smallest n for which the two-sided order-statistic interval exists, 1 − shareⁿ − (1 − share)ⁿ ≥ 0.95.
    """
    n = 1
    while 1 - share**n - (1 - share) ** n < 0.95:
        n += 1
    return n


class Pool:
    """The samples of several launches, sorted; each launch has the same weight, whatever its number of samples."""

    def __init__(self, launches: Sequence[Sequence[int]]) -> None:
        values = np.concatenate([np.asarray(launch, dtype=np.int64) for launch in launches])
        weights = np.concatenate([np.full(len(launch), 1 / len(launch)) for launch in launches])
        order = np.argsort(values, kind="stable")
        self.values = values[order]
        self._cumulative = np.cumsum(weights[order]) / len(launches)

    def percentile(self, share: float) -> int:
        """The nearest-rank percentile: the first sample up to which `share` of the weight lies.

        With n samples of one launch it is the one at 0-based index ceil(n · share) − 1, as in OpenVINO's benchmark_app:
        always one of the samples, never an interpolation.
        """
        # 1e-9: in binary fractions, n times 1/n does not add up to 1 exactly, nor is 100 · 0.07 exactly 7
        return int(self.values[min(np.searchsorted(self._cumulative, share - 1e-9), len(self.values) - 1)])

    def supported(self, share: float) -> int | None:
        """The percentile, or None with too few samples."""
        return self.percentile(share) if len(self.values) >= min_samples(share) else None


def median(samples: Sequence[int]) -> int:
    """The nearest-rank median of one launch's samples, in any order."""
    return Pool([samples]).percentile(0.5)


def thinned(samples: Sequence[int]) -> np.ndarray:
    """At most THINNED of the samples, sorted, evenly spread over the ranks: one launch for the bootstrap."""
    ordered = np.sort(np.asarray(samples, dtype=np.int64))
    if len(ordered) <= THINNED:
        return ordered
    ranks = (np.arange(THINNED) + 0.5) * len(ordered) / THINNED
    return ordered[ranks.astype(int)]


def resampled_medians(launches: Sequence[Sequence[int]], generator: np.random.Generator, resamples: int) -> np.ndarray:
    """The median of each of `resamples` sets of launches, drawn with replacement (the upper level of the hierarchy)."""
    kept = [thinned(launch) for launch in launches]
    values = np.concatenate(kept)
    owner = np.repeat(np.arange(len(kept)), [len(launch) for launch in kept])
    weight = 1 / np.array([len(launch) for launch in kept])[owner]
    order = np.argsort(values, kind="stable")
    values, owner, weight = values[order], owner[order], weight[order]
    medians = np.empty(resamples)
    for start in range(0, resamples, 100):  # a hundred at a time, to limit the memory
        draws = generator.multinomial(len(kept), [1 / len(kept)] * len(kept), size=min(100, resamples - start))
        cumulative = np.cumsum(draws[:, owner] * weight, axis=1)
        first = (cumulative < 0.5 * len(kept) - 1e-9).sum(axis=1)
        medians[start : start + len(draws)] = values[np.minimum(first, len(values) - 1)]
    return medians


def median_interval(launches: Sequence[Sequence[int]]) -> tuple[float, float] | None:
    """The launch-level bootstrap 95 % interval of the median, widened if launches are few; None below MIN_LAUNCHES."""
    if len(launches) < MIN_LAUNCHES:
        return None
    logs = np.log(np.maximum(1, resampled_medians(launches, np.random.default_rng(0), RESAMPLES)))
    centre = math.log(max(1, Pool(launches).percentile(0.5)))
    low, high = widened(logs, centre, len(launches), len(launches) - 1)
    return math.exp(low), math.exp(high)


def widened(resampled_logs: np.ndarray, centre: float, launches: int, freedom: int) -> tuple[float, float]:
    """The percentile bootstrap's 95 % interval, widened about `centre` if launches are few. All are logarithms.

    Unwidened, it uses a normal's quantiles, and n instead of n − 1: with five launches it held the true value in 83 to
    88 % of cases. So it is widened by √(n / (n − 1)) · t / z (the idea of Hesterberg's expanded percentile interval,
    "What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015).
    """
    wider = math.sqrt(launches / (launches - 1)) * student_t_975(freedom) / Z_975
    low, high = (centre + (float(end) - centre) * wider for end in np.percentile(resampled_logs, [2.5, 97.5]))
    return low, high


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, JASA 22, 1927). It stays within [0, 1], even if none or all are
    right."""
    share, z2 = right / n, Z_975**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = Z_975 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def median_ratio(base: Sequence[int], new: Sequence[int]) -> tuple[float, float, float]:
    """The median of new ÷ base, pair by pair, with its 95 % interval, of order statistics: (median, low, high).

    Of fewer than six pairs it is all that was seen.
    """
    ratios = np.sort(np.asarray(new, dtype=float) / np.maximum(1, np.asarray(base)))
    n = len(ratios)
    outside, below = 0.0, 0  # how many may be left out on each side
    while below < n // 2 and (outside := outside + math.comb(n, below) / 2**n) <= 0.025:
        below += 1
    below = max(0, below - 1)
    return float(np.median(ratios)), float(ratios[below]), float(ratios[n - 1 - below])


def mean_of_shares(parts: Sequence[tuple[int, int]]) -> tuple[float, float, float]:
    """The mean of the shares right of n, each of other cases, with its 95 % interval: (mean, low, high).

    Wilson's intervals of the shares, combined (Zou, Huang & Zhang, "A note on confidence interval estimation for a
    linear function of binomial proportions", Computational Statistics & Data Analysis 53, 2009). Of one share it is
    Wilson's.
    """
    shares = [right / n for right, n in parts]
    ends = [wilson(right, n) for right, n in parts]
    mean = math.fsum(shares) / len(shares)
    below = math.sqrt(math.fsum((share - low) ** 2 for share, (low, _) in zip(shares, ends, strict=True)))
    above = math.sqrt(math.fsum((high - share) ** 2 for share, (_, high) in zip(shares, ends, strict=True)))
    return mean, max(0.0, mean - below / len(shares)), min(1.0, mean + above / len(shares))


def paired_difference(only_first: int, only_second: int, n: int, z: float = Z_975) -> tuple[float, float]:
    """The interval, by default of 95 %, of the difference of two shares that are of the same n cases.

    only_first, only_second: cases that one alone has right. `z`: the quantile of the normal distribution. Bonett and
    Price's adjusted Wald interval (Journal of Educational and Behavioral Statistics 37, 2012). It has a width even
    where both have the same cases right.
    """
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    reach = z * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(-1.0, first - second - reach), min(1.0, first - second + reach)


def student_t_975(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to 0.5 %: tabulated up to 4 degrees of freedom, then Cornish and Fisher's
    series.

    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    if freedom <= 4:
        return (12.706, 4.303, 3.182, 2.776)[freedom - 1]
    z, n = Z_975, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def half_width(summary: Summary) -> float | None:
    """Half the width of the median's interval as a share of the median; None without an interval."""
    if summary.median_ci95_ns is None or not summary.median_ns:
        return None
    low, high = summary.median_ci95_ns
    return (high - low) / 2 / summary.median_ns


def drift(latency_ns: Sequence[int]) -> float | None:
    """By how much the last quarter's median differs from the first's, if there is a trend; else None.

    A trend: Kendall's τ of ten blocks' medians shows an order (|τ| ≥ 0.6, two-sided p ≈ 0.017 for ten), and the
    difference is above 2 %. Below 40 samples the result is None.
    """
    if len(latency_ns) < 40:
        return None
    samples = np.asarray(latency_ns, dtype=np.int64)
    blocks = [float(np.median(block)) for block in np.array_split(samples, 10)]
    tau = sum(np.sign(b - a) for i, a in enumerate(blocks) for b in blocks[i + 1 :]) / 45
    quarter = len(samples) // 4
    change = float(np.median(samples[-quarter:]) / max(1.0, float(np.median(samples[:quarter]))) - 1)
    return change if abs(tau) >= 0.6 and abs(change) > 0.02 else None


def summarise(launches: Sequence[Launch], batch: int) -> Summary | None:
    """The figures over a result's launches; None if none of them has samples."""
    samples = [launch.samples for launch in launches if launch.samples and launch.samples.latency_ns]
    if not samples:
        return None
    latencies = [s.latency_ns for s in samples]
    pool = Pool(latencies)
    device = [s.device_ns for s in samples if s.device_ns]
    return Summary(
        launches=len(samples),
        n=len(pool.values),
        median_ns=pool.supported(0.5),
        median_ci95_ns=median_interval(latencies),
        p90_ns=pool.supported(0.90),
        p99_ns=pool.supported(0.99),
        p999_ns=pool.supported(0.999),
        mean_ns=float(np.mean([np.mean(latency) for latency in latencies])),
        min_ns=int(pool.values[0]),
        max_ns=int(pool.values[-1]),
        throughput_per_s=len(pool.values) * batch / (sum(s.wall_ns for s in samples) / 1e9),
        device_median_ns=Pool(device).supported(0.5) if device else None,
    )
