"""The statistics of a series in the order of time: where its level changed, where it creeps, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from edgebench.comparing.ratio import Ratio
from edgebench.results.stats import Z_975

FEWEST = 4  # points of a stretch: with four on each side, two ranks' sums that share nothing have p = 2.9 %
ALPHA = 0.01  # of a series in which nothing changes, this share shows a change
SHUFFLES = 1999
INSIDE = 40  # of a longer series, this many begins and ends of stretches inside are tried: all would take seconds


@dataclass(frozen=True)
class Stretch:
    """The points from `first` up to and without `end`: one level, or a steady trend if it `creeps`."""

    first: int
    end: int
    creeps: bool = False


def stretches(values: Sequence[float]) -> list[Stretch]:
    """Divide a series, in the order of time, where its level changes, as long as the evidence lasts.

    Candidates are every split of the series, every stretch inside it that comes back to the level before it, and a
    trend over all of it. Each level has at least FEWEST points. The evidence of the first two is the standardised sum
    of ranks (Pettitt, "A non-parametric approach to the change-point problem", Applied Statistics 28, 1979; for a
    stretch inside, as in circular binary segmentation: Olshen et al., Biostatistics 5, 2004). A trend's is Spearman's
    coefficient, standardised. The strongest counts if it is among the ALPHA strongest of shuffled series, which allows
    for all candidates at once. The parts are then divided likewise; a trend is not divided. Ranks ignore how far off an
    outlier is.

    Shuffling assumes that the points are independent. Where neighbours resemble each other, more changes are found:
    scripts/bench_history.py counts them.
    """
    return _divided(np.asarray(values, dtype=float), 0)


def _divided(values: np.ndarray, first: int) -> list[Stretch]:
    whole = [Stretch(first, first + len(values))]
    if len(values) < 2 * FEWEST or np.ptp(values) == 0:
        return whole
    evidence = _evidence(_ranks(values)[None])[0]
    strongest = int(evidence.argmax())
    beyond = int((_shuffled(len(values)) >= evidence[strongest] - 1e-9).sum())
    if (1 + beyond) / (1 + SHUFFLES) > ALPHA:
        return whole
    if strongest == len(evidence) - 1:
        return [Stretch(first, first + len(values), creeps=True)]
    begin, end = (int(side[strongest]) for side in _candidates(len(values)))
    cuts = _refined(values, [0, begin, end, len(values)]) if begin else [0, end, len(values)]
    return [part for a, b in pairwise(cuts) for part in _divided(values[a:b], first + a)]


@lru_cache(maxsize=256)
def _candidates(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The begins and ends of stretches that may have a level of their own: all up to a split, and some inside."""
    splits = np.arange(FEWEST, n - FEWEST + 1)
    some = np.unique(np.linspace(FEWEST, n - FEWEST, min(len(splits), INSIDE)).astype(int))
    begins, ends = (side.ravel() for side in np.meshgrid(some, some))
    wide = ends - begins >= FEWEST
    return np.concatenate([splits * 0, begins[wide]]), np.concatenate([splits, ends[wide]])


def _ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value, from 1; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def _evidence(ranks: np.ndarray) -> np.ndarray:
    """For each series of ranks (rows): the evidence for each of the candidates, and last that for a trend."""
    n = ranks.shape[1]
    off = ranks - ranks.mean(axis=1, keepdims=True)
    squares = (off**2).sum(axis=1, keepdims=True)
    begins, ends = _candidates(n)
    sums = np.pad(np.cumsum(off, axis=1), ((0, 0), (1, 0)))
    inside = ends - begins
    levels = np.abs(sums[:, ends] - sums[:, begins]) / np.sqrt(inside * (n - inside) / n * squares / (n - 1))
    turns = np.arange(n) - (n - 1) / 2
    trend = np.abs(off @ turns)[:, None] / np.sqrt((turns @ turns) * squares) * math.sqrt(n - 1)
    return np.hstack([levels, trend])


def _refined(values: np.ndarray, cuts: list[int]) -> list[int]:
    """The same cuts, each moved to where the two levels lie closest to their points: not all were tried."""
    near = len(values) // INSIDE + FEWEST
    for i, (before, at, after) in enumerate(zip(cuts, cuts[1:], cuts[2:], strict=False), 1):
        places = range(max(before + FEWEST, at - near), min(after - FEWEST, at + near) + 1)
        cuts[i] = min(places, key=lambda cut: _spread(values[before:cut]) + _spread(values[cut:after]))
    return cuts


def _spread(values: np.ndarray) -> float:
    return float(np.abs(values - np.median(values)).sum())


@lru_cache(maxsize=256)
def _shuffled(n: int) -> np.ndarray:
    """The strongest evidence in each of SHUFFLES series of n points in random order."""
    random = np.random.default_rng(n)
    parts = [
        _evidence(random.random((min(100, SHUFFLES - done), n)).argsort(axis=1) + 1.0).max(axis=1)
        for done in range(0, SHUFFLES, 100)
    ]
    return np.concatenate(parts)


def step(before: Sequence[float], after: Sequence[float]) -> Ratio:
    """after ÷ before of two stretches of logarithms, with its 95 % interval.

    Hodges and Lehmann's estimate: the median of all differences, with the interval that belongs to the test of ranks
    (Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 2014, section 4.3, in its normal approximation).
    """
    differences = np.sort(np.subtract.outer(np.asarray(after), np.asarray(before)).ravel())
    m, n = len(before), len(after)
    return _around(differences, math.sqrt(m * n * (m + n + 1) / 12))


def creep(values: Sequence[float], at: Sequence[float]) -> Ratio:
    """end ÷ start of a stretch of logarithms that creeps, measured at the times `at`, with its 95 % interval.

    From the slopes between all pairs of points, with the interval that belongs to Kendall's test (Sen, JASA 63, 1968).
    """
    n = len(values)
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    return _around(_slopes(values, at) * (at[-1] - at[0]), deviation)


def slope(values: Sequence[float], at: Sequence[float]) -> float:
    """The median of the slopes between all pairs of points: by how much the values grow per unit of `at`."""
    return float(np.median(_slopes(values, at)))


def _slopes(values: Sequence[float], at: Sequence[float]) -> np.ndarray:
    """The slopes between all pairs of points, in order."""
    values, at = np.asarray(values, dtype=float), np.asarray(at, dtype=float)
    first, second = np.triu_indices(len(values), 1)
    apart = at[second] > at[first]
    return np.sort((values[second] - values[first])[apart] / (at[second] - at[first])[apart])


def _around(ordered: np.ndarray, deviation: float) -> Ratio:
    """The median of ordered differences, and the two that are Z_975 deviations of their ranks away from it."""
    cut = max(0, math.floor(len(ordered) / 2 - Z_975 * deviation))
    return Ratio(*(math.exp(float(value)) for value in (np.median(ordered), ordered[cut], ordered[-1 - cut])))
