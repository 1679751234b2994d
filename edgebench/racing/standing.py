"""Where the settings of a race stand: their ratios, the intervals of these, and which pairs are decided.

The model. A setting's *effect* in a launch is the median over the launch's rounds of the log of its time less the log
of the round's median time (`launch_effects`). The difference of two settings' effects in one launch is one observation
of the log of their ratio; launches are independent. Its variance between launches is the pair's own, moderated by that
of the race's other pairs: (d·s² + f·own) / (d + f), with f = launches − 1, s² the median over all pairs, and d = PRIOR
degrees of freedom, at most the (settings − 2)·f that the others bring (Smyth, "Linear models and empirical Bayes
methods", Statistical Applications in Genetics and Molecular Biology 3(1), 2004, with a fixed d). The interval is
Student's with d + f degrees of freedom (results/races.py). A setting whose launches differ more than those of others,
such as one of two threads beside other load, has wide intervals of its own, and widens nobody else's: hence by pairs,
and the median.

The rule. A race looks after each launch from FEWEST on. The look after launch n may spend a share (FEWEST − 1) / (n
(n − 1)) of ERROR; from FEWEST on these shares add up to 1 (error spending: Lan & DeMets, Biometrika 70, 1983). It is
divided by the number of pairs (Bonferroni). So the chance that a race ever calls any two equal settings different is
at most ERROR, however long it goes on, if all settings scatter alike; scripts/bench_race.py simulates it where they do
not. A tie spends TIE_ERROR over the looks, for each pair: to call a difference beyond the band a tie harms less.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from edgebench.comparing.ratio import BAND, Ratio
from edgebench.records.jobs import MIN_LAUNCHES
from edgebench.results.races import joint

PairDecision = Literal["faster", "slower", "tie", "undecided"]
OPPOSITE: dict[PairDecision, PairDecision] = {"faster": "slower", "slower": "faster"}
ERROR = 0.01  # the chance that a race calls any two equal settings different, over all pairs and all looks
TIE_ERROR = 0.05  # the chance that a pair which differs by more than the band is ever called a tie
FEWEST = MIN_LAUNCHES  # launches before the first look: in three, a setting of two speeds often shows one alone


@dataclass(frozen=True)
class Standing:
    """What is known after the launches so far: (launches, settings) effects, nan where a setting took no part."""

    effects: np.ndarray

    @cached_property
    def raced(self) -> list[int]:
        """The settings that have an effect in every launch until they left."""
        return [int(i) for i in np.flatnonzero(~np.isnan(self.effects).all(axis=0))]

    @cached_property
    def scatter(self) -> float:
        """The median over all pairs of the variance of their differences between launches; 0 if none is known."""
        found = []
        for k, i in enumerate(self.raced):
            seen = self.effects[:, [i]] - self.effects[:, self.raced[k + 1 :]]
            found += [float(np.var(one[~np.isnan(one)], ddof=1)) for one in seen.T if (~np.isnan(one)).sum() > 1]
        return float(np.median(found)) if found else 0.0

    def difference(self, new: int, base: int, share: float = 0.05) -> Ratio | None:
        """new ÷ base, with the interval that misses the truth in `share` of cases; None below two common launches."""
        seen = self.effects[:, new] - self.effects[:, base]
        found = joint(seen[~np.isnan(seen)].tolist(), self.scatter, len(self.raced), share)
        return found and Ratio(*found)

    def decide(self, new: int, base: int, band: float = BAND) -> PairDecision:
        """Whether new is faster or slower than base, or equal within the band, by the rule above.

        A difference that is certainly within the band is a tie: it does not matter, even if it is certain.
        """
        looks = len(self.effects)
        if looks < FEWEST:
            return "undecided"
        share = (FEWEST - 1) / (looks * (looks - 1))
        near = self.difference(new, base, TIE_ERROR * share)
        far = self.difference(new, base, ERROR * share / max(1, math.comb(len(self.raced), 2)))
        if near is None or far is None:
            return "undecided"
        if near.verdict(band) == "equivalent":
            return "tie"
        if far.low > 1:
            return "slower"
        return "faster" if far.high < 1 else "undecided"

    @cached_property
    def order(self) -> list[int]:
        """The settings that raced, fastest first. Those that left early are placed by the launches that they were in:
        all are put on the scale of the settings that were in every launch."""
        inside = self.effects[:, self.raced]
        everywhere = ~np.isnan(inside).any(axis=0)
        if everywhere.any():
            inside = inside - inside[:, everywhere].mean(axis=1, keepdims=True)
        return [self.raced[k] for k in np.argsort(np.nanmean(inside, axis=0), kind="stable")]

    def pairs(self, *, best_only: bool = False) -> list[tuple[int, int]]:
        """The pairs that a race has to decide, (base, new): neighbours in the order, or the fastest and each other."""
        order = self.order
        return [(order[0], i) for i in order[1:]] if best_only else list(itertools.pairwise(order))


def launch_effects(rounds: np.ndarray) -> np.ndarray:
    """Each setting's effect in one launch, from the logs of its bursts' medians: (rounds, settings) → (settings,).

    The machine's speed changes by a fifth within a second, and the round's median follows it. On ten copies of one
    model beside foreign load, launches differed by 2.8 % so, by 3.7 % without it, and by 2.9 to 3.3 % with a baseline
    of neighbours in time. A setting that was absent from a round has nan.
    """
    present = ~np.isnan(rounds).any(axis=0)
    found = np.full(rounds.shape[1], np.nan)
    inside = rounds[:, present]
    found[present] = np.median(inside - np.median(inside, axis=1, keepdims=True), axis=0)
    return found
