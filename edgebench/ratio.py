"""How much slower is one thing than another: the ratio of medians, its interval, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgebench import stats

Verdict = Literal["faster", "slower", "equivalent", "inconclusive"]
BAND = 0.02  # what nobody cares about, and machines do by themselves


@dataclass(frozen=True)
class Ratio:
    """new ÷ base with its 95 % interval: 1.05 is 5 % slower."""

    ratio: float
    low: float
    high: float

    def verdict(self, band: float = BAND) -> Verdict:
        """What the interval as a whole says: outside the noise band, inside it, or neither."""
        if self.low > 1 + band:
            return "slower"
        if self.high < 1 - band:
            return "faster"
        return "equivalent" if self.low >= 1 - band and self.high <= 1 + band else "inconclusive"


def of_launches(base: Sequence[Sequence[int]], new: Sequence[Sequence[int]]) -> Ratio:
    """The ratio of the medians of two sets of launches, each a list of latencies, by the hierarchical bootstrap.

    Launches are drawn with replacement on both sides, then the median of their pooled samples is taken. (Drawing the
    samples within a launch as well changes nothing that could be seen: there are thousands of them.)
    """
    generator = np.random.default_rng(0)
    over, under = (stats.resampled_medians(side, generator, stats.RESAMPLES) for side in (new, base))
    low, high = np.percentile(over / under, [2.5, 97.5])
    centre = stats.Pool(new).percentile(0.5) / stats.Pool(base).percentile(0.5)
    return Ratio(centre, float(low), float(high))


def of_pairs(launches: Sequence[Sequence[float]]) -> Ratio:
    """The ratio from bursts that alternated: of each launch, the ratios new ÷ base of its pairs of neighbours in time.

    A launch's figure is the median of its pairs; the interval is Student's, over the launches' logarithms, since what
    differs between launches (where the memory lies, which core) is what a median over pairs cannot see. Needs two.
    """
    logs = np.array([np.log(np.median(pairs)) for pairs in launches])
    mean, error = logs.mean(), logs.std(ddof=1) / np.sqrt(len(logs))
    reach = student_t_975(len(logs) - 1) * error
    return Ratio(float(np.exp(mean)), float(np.exp(mean - reach)), float(np.exp(mean + reach)))


def student_t_975(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to 0.5 %: the tables' values to 4, then Cornish and Fisher's expansion.

    Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.5.
    """
    if freedom <= 4:
        return (12.706, 4.303, 3.182, 2.776)[freedom - 1]
    z, n = 1.959964, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
