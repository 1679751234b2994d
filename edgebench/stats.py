"""Percentiles, intervals and how many samples each of them needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebench.jobs import Samples, Summary


def percentile(ordered: Sequence[int], share: float) -> int:
    """The nearest-rank percentile of sorted samples: the element at 0-based index ceil(n · share) − 1.

    The definition of OpenVINO's benchmark_app; always one of the samples, never an interpolation.
    """
    # 1e-9: as binary fractions, 100 · 0.07 is 7.000000000000001, and its ceiling would be the next rank
    return ordered[max(0, math.ceil(len(ordered) * share - 1e-9) - 1)]


def min_samples(share: float) -> int:
    """The fewest samples that bound this percentile with 95 % confidence: p50 6, p90 29, p95 59, p99 299, p99.9 2995.

    The smallest n for which the two-sided order-statistic interval exists, 1 − shareⁿ − (1 − share)ⁿ ≥ 0.95.
    """
    n = 1
    while 1 - share**n - (1 - share) ** n < 0.95:
        n += 1
    return n


def supported(ordered: Sequence[int], share: float) -> int | None:
    """The percentile, or None where there are too few samples to say."""
    return percentile(ordered, share) if len(ordered) >= min_samples(share) else None


def median(ordered: Sequence[float]) -> float:
    """The middle of sorted samples, or the mean of the middle two."""
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_ci95(ordered: Sequence[int]) -> tuple[float, float] | None:
    """The distribution-free 95 % interval of the median of independent samples, from their order statistics.

    The largest k with P(Binomial(n, ½) < k) ≤ 0.025 gives the interval from the k-th smallest to the k-th largest
    sample (Conover, Practical Nonparametric Statistics, 3.2). None below 6 samples. Inferences that follow each other
    are not independent: the interval says how well this launch is known, not how launches differ.
    """
    n = len(ordered)
    if n < min_samples(0.5):
        return None
    if n <= 1000:
        tail, term, k = 0.0, 0.5**n, 0
        while tail + term <= 0.025:
            tail += term
            k += 1
            term *= (n - k + 1) / k
    else:  # 0.5ⁿ underflows; the normal approximation is exact to a rank here
        k = math.floor(n / 2 - 1.959964 * math.sqrt(n) / 2)
    return float(ordered[k - 1]), float(ordered[n - k])


def summarise(samples: Samples, batch: int) -> Summary:
    """The figures of one run. Throughput is what went through in the wall time of the loop, never 1 / latency."""
    ordered = sorted(samples.latency_ns)
    return Summary(
        n=len(ordered),
        median_ns=median(ordered),
        median_ci95_ns=median_ci95(ordered),
        p90_ns=supported(ordered, 0.90),
        p99_ns=supported(ordered, 0.99),
        mean_ns=sum(ordered) / len(ordered),
        min_ns=ordered[0],
        max_ns=ordered[-1],
        throughput_per_s=len(ordered) * batch / (samples.wall_ns / 1e9),
    )
