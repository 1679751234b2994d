"""The ratio of two settings of one race, from what each did in its launches. racing/standing.py has the model."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from edgebench.records.declared import FARTHEST_EFFECT

PRIOR = 4  # how many degrees of freedom the scatter of all pairs weighs beside a pair's own


class Part(NamedTuple):
    """A setting's part in a race: see `Raced`."""

    race: str
    effects: tuple[float | None, ...]
    settings: int
    scatter: float


def between(new: Part, base: Part, share: float = 0.05) -> tuple[float, float, float] | None:
    """new ÷ base of one race: see `joint`. None for settings of two races."""
    if new.race != base.race:
        return None
    pairs = zip(new.effects, base.effects, strict=True)
    return joint([n - b for n, b in pairs if n is not None and b is not None], base.scatter, base.settings, share)


def joint(
    differences: Sequence[float], scatter: float, settings: int, share: float = 0.05
) -> tuple[float, float, float] | None:
    """new ÷ base, and the interval that misses the truth in `share` of cases, from the differences of their effects in
    each common launch. None below two launches. `scatter` and `settings` are the race's."""
    own = len(differences) - 1
    if own < 1:
        return None
    prior = min(PRIOR, max(0, settings - 2) * own)
    variance = (prior * scatter + own * statistics.variance(differences)) / (prior + own)
    reach = student_t(1 - share / 2, prior + own) * math.sqrt(variance / len(differences))
    centre = statistics.fmean(differences)
    # Two launches can differ without bounds.
    low, high = max(-FARTHEST_EFFECT, centre - reach), min(FARTHEST_EFFECT, centre + reach)
    return math.exp(centre), math.exp(low), math.exp(high)


@lru_cache(maxsize=4096)
def student_t(share: float, freedom: int) -> float:
    """The quantile of Student's t, by bisection on its distribution function."""
    low, high = 0.0, 1e7
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 2 * share - 1 else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """The probability that |T| ≤ t: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4."""
    if freedom > 1000:
        return 2 * NormalDist().cdf(t) - 1
    angle = math.atan(t / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = total = (cosine if freedom > 1 else 0.0) if odd else 1.0
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
