"""How much slower one measurement is than another: the ratio of medians, its interval, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgebench.results import stats

Verdict = Literal["faster", "slower", "equivalent", "inconclusive"]
BAND = 0.02  # a difference too small to matter, which machines show by themselves
ALPHA = 0.05  # for the Mann–Whitney tests of all cells of a comparison together
FEWEST_RANKED = 6  # 2 · 2⁻⁶ is below 5 %, 2 · 2⁻⁵ is not
EXACT_LAUNCHES = 100  # of both sides together; more would take seconds
# The shares at which the fastest launches are compared: fastest request, 5th percentile, median.
FAST_SHARES = (0.0, 0.05, 0.5)


@dataclass(frozen=True)
class Ratio:
    """new ÷ base: 1.05 is 5 % slower. `low`, `high`: its 95 % interval; None where too little was measured for one."""

    ratio: float
    low: float | None = None
    high: float | None = None

    def verdict(self, band: float = BAND) -> Verdict:
        """Whether the whole interval lies outside the noise band, inside it, or neither."""
        if self.low is None or self.high is None:
            return "inconclusive"
        if self.low > 1 + band:
            return "slower"
        if self.high < 1 - band:
            return "faster"
        return "equivalent" if self.low >= 1 - band and self.high <= 1 + band else "inconclusive"


def of_launches(base: Sequence[Sequence[int]], new: Sequence[Sequence[int]]) -> Ratio:
    """The ratio of the medians of two sets of launches, each a list of latencies, by the hierarchical bootstrap.

    Launches are drawn with replacement on both sides, then the median of their pooled samples is taken. (Drawing the
    samples within a launch too makes no visible difference: there are thousands of them.) The interval is widened for
    few launches (`stats.widened`).
    """
    medians = stats.Pool(base).percentile(0.5), stats.Pool(new).percentile(0.5)
    seeds = (0, 1) if medians[0] <= medians[1] else (1, 0)  # by size, so that swapped sides give the inverse exactly
    under, over = (
        np.log(stats.resampled_medians(side, np.random.default_rng(seed), stats.RESAMPLES))
        for side, seed in zip((base, new), seeds, strict=True)
    )
    centre = math.log(medians[1] / medians[0])
    low, high = stats.widened(over - under, centre, min(len(base), len(new)), len(base) + len(new) - 2)
    return Ratio(math.exp(centre), math.exp(low), math.exp(high))


def of_ratios(ratios: Sequence[float]) -> Ratio:
    """The median of independent ratios new ÷ base, for example one per launch, and its 95 % interval.

    The interval is that of the sign test, between two of the ratios. It assumes no shape of the noise, so a launch that
    another program disturbed does no harm. Measured beside other programs: 20 launches of 24 between 1.02 and 1.07, the
    others 0.63, 0.83, 0.98 and 1.20. Below FEWEST_RANKED ratios there is no such interval, and so none.
    """
    ordered = np.sort(ratios)
    n = len(ordered)
    if n < FEWEST_RANKED:
        return Ratio(float(np.median(ordered)))
    cut = 0  # ratios outside the interval on each side: P(at most so many of n lie below the median) ≤ 2.5 %
    while sum(math.comb(n, k) for k in range(cut + 2)) <= 0.025 * 2**n:
        cut += 1
    return Ratio(float(np.median(ordered)), float(ordered[cut]), float(ordered[-1 - cut]))


@dataclass(frozen=True, kw_only=True)
class Witnesses:
    """The evidence that new differs from base, when the two were measured one after the other.

    `fastest`: see `of_fastest`. `drift`, `spread`: of the launches' medians, the larger of the two sides. `p`: of Mann
    and Whitney's test on those medians. `machine`: new ÷ base of the time of work that never changes (yardstick.py), if
    it points in the same direction as `ratio`; otherwise 1.
    """

    ratio: Ratio
    fastest: float
    drift: float
    spread: float
    p: float
    machine: float = 1.0

    def verdict(self, p_holm: float, band: float = BAND) -> tuple[Verdict, str]:
        """The verdict, and "" or the reason why the interval's verdict is not believed.

        `p_holm` is `p` corrected for the other cells. Faster and slower need all of the evidence: the interval, by more
        than the drift of a side and the change of the machine; the fastest launches, by more than half the band and the
        spread of a side's launches; and the ranks of the launches.
        """
        verdict = self.ratio.verdict(band)
        if verdict == "inconclusive":
            return verdict, f"the interval is neither outside nor inside ± {band:.1%}"
        if verdict == "equivalent":
            return verdict, ""
        if self.ratio.verdict(band + abs(self.drift)) != verdict:
            return "inconclusive", f"the machine drifted by {self.drift:+.1%} during one side's launches"
        if self.ratio.verdict(band + abs(self.machine - 1)) != verdict:
            return "inconclusive", f"the machine itself was {_slower(self.machine)} in new, at work that never changes"
        if Ratio(self.fastest, self.fastest, self.fastest).verdict(max(band / 2, self.spread)) != verdict:
            return "inconclusive", (
                f"the fastest requests do not show it (× {self.fastest:.3f}, while launches of one side differ by "
                f"{self.spread:.1%}): other programs' load on one side looks like this"
            )
        if p_holm > ALPHA:
            return "inconclusive", f"Mann–Whitney on the launches' medians: p = {p_holm:.2g} after Holm's correction"
        return verdict, ""


def weigh(
    base: Sequence[Sequence[int]],
    new: Sequence[Sequence[int]],
    base_requests: Sequence[Sequence[int]] | None = None,
    new_requests: Sequence[Sequence[int]] | None = None,
    machine: Sequence[float] = (),
) -> Witnesses:
    """The evidence from two sets of launches, each a list of times.

    If the times are not those of requests (a launch's throughput is one figure), `*_requests` are. `machine`: new ÷
    base of the times of work that never changes (yardstick.py).
    """
    ratio = of_launches(base, new)
    medians = [[stats.median(launch) for launch in side] for side in (base, new)]
    return Witnesses(
        ratio=ratio,
        fastest=of_fastest(base_requests or base, new_requests or new),
        drift=max((drift(side) for side in medians), key=abs),
        spread=max(spread(side) for side in medians),
        p=mann_whitney(*medians),
        machine=max([1.0, *machine]) if ratio.ratio > 1 else min([1.0, *machine]),
    )


def _slower(change: float) -> str:
    return f"{change - 1:.1%} slower" if change > 1 else f"{1 - change:.1%} faster"


def of_fastest(base: Sequence[Sequence[int]], new: Sequence[Sequence[int]]) -> float:
    """The ratio new ÷ base of the fastest launches, at the one of FAST_SHARES where it is nearest to 1.

    Other programs' load only adds time, and rarely to every request: on a shared machine, the medians of two runs of
    the same thing differed by up to 30 %, while their fastest requests agreed within 1.3 %. A slower model is slower in
    its fastest requests too. If the shares contradict each other, the ratio is 1.
    """

    def floors(launches: Sequence[Sequence[int]]) -> np.ndarray:
        pools = [stats.Pool([launch]) for launch in launches]
        return np.array([min(pool.percentile(share) for pool in pools) for share in FAST_SHARES], dtype=float)

    logs = np.log(floors(new) / floors(base))
    return float(np.exp(min(logs, key=abs))) if (logs > 0).all() or (logs < 0).all() else 1.0


def drift(medians: Sequence[float]) -> float:
    """The change from the earlier half of the launches to the later, as a share, if there is a trend; otherwise 0.

    A trend has Kendall's τ beyond 2.4 of its standard deviations (two-sided p ≈ 0.017, as for `stats.drift`), and a
    change above BAND.
    """
    n = len(medians)
    signs = sum(np.sign(b - a) for i, a in enumerate(medians) for b in medians[i + 1 :])
    if abs(signs) < 2.4 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18):
        return 0.0
    change = float(np.median(medians[-(n // 2) :]) / np.median(medians[: n // 2]) - 1)
    return change if abs(change) > BAND else 0.0


def spread(medians: Sequence[float]) -> float:
    """The width of the middle half of the launches' medians, as a share: the machine's own noise between launches."""
    low, high = np.percentile(medians, [25, 75])
    return float(high / low - 1)


def mann_whitney(base: Sequence[float], new: Sequence[float]) -> float:
    """The two-sided p of Mann and Whitney's test (1947), exact also with ties.

    If the sides are alike, all ways to choose the base's ranks from the pooled ranks are equally likely. They are
    counted by their sum, one rank after another. Ties share the mean of their ranks. p is twice the smaller tail.
    Beyond EXACT_LAUNCHES the sum is practically normal.
    """
    pooled = np.array([*base, *new], dtype=float)
    # twice the mean rank, so that it is a whole number
    ranks = np.array([2 * (pooled < value).sum() + (pooled == value).sum() + 1 for value in pooled])
    chosen = len(base)
    if len(pooled) > EXACT_LAUNCHES:
        error = math.sqrt(chosen * len(new) * ranks.var() / (len(pooled) - 1))
        return math.erfc(abs(ranks[:chosen].sum() - chosen * ranks.mean()) / error / math.sqrt(2)) if error else 1.0
    # ways[k, s]: the share of the choices so far that took k ranks of sum s, scaled so that no number grows too large
    ways = np.zeros((chosen + 1, int(np.sort(ranks)[-chosen:].sum()) + 1))
    ways[0, 0] = 1.0
    for rank in ranks:
        taken = ways[:-1, : ways.shape[1] - rank].copy()
        ways[1:, rank:] += taken
        ways /= ways.sum()
    likely = ways[chosen] / ways[chosen].sum()
    seen = int(ranks[:chosen].sum())
    return float(min(1.0, 2 * min(likely[: seen + 1].sum(), likely[seen:].sum())))


def least_p(base: int, new: int) -> float:
    """The smallest p that this many launches can give: all of one side before all of the other."""
    return 2 / math.comb(base + new, base)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979), in their order."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected
