"""Compares A with B while both run: alternating bursts, launch after launch, until there is a verdict or time is up."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgebench.comparing import ratio
from edgebench.machine import locks
from edgebench.machine.foreign_load import ForeignLoad
from edgebench.measuring import alternating
from edgebench.measuring.alternating import Contestant
from edgebench.records import replacing
from edgebench.records.jobs import Stop
from edgebench.records.notices import Notice
from edgebench.results import stats

LAUNCH_S = 1.5  # seconds of bursts in a launch; short, since launches differ more than the bursts of one

Make = Callable[..., Contestant]


@dataclass(frozen=True, kw_only=True)
class AbComparison:
    """The outcome. Ratios are new ÷ base: 1.05 is 5 % slower.

    `launches`: the ratio of each launch; `bursts`: per side, in all launches. `*_median_ns`: the median of the medians
    of a side's bursts; `*_fastest_ns`: the lowest of them. `ratio` is the median of `launches`, with an interval from
    ratio.FEWEST_RANKED launches on.
    """

    base: str
    new: str
    ratio: ratio.Ratio
    verdict: ratio.Verdict
    base_median_ns: int
    new_median_ns: int
    base_fastest_ns: int
    new_fastest_ns: int
    launches: tuple[float, ...]
    bursts: int
    stop: Stop
    seconds: float
    notices: tuple[Notice, ...] = ()


def compare(
    base: Make,
    new: Make,
    *,
    max_seconds: float = 60.0,
    band: float = ratio.BAND,
    on_launch: Callable[[int, ratio.Ratio | None], None] = lambda launches, so_far: None,
    on_wait: Callable[[], None] = lambda: None,
) -> AbComparison:
    """Launch both sides again and again, and alternate their bursts, until the interval is on one side of the band.

    `base` and `new` make a contestant from a folder for its files and `verify`: whether it verifies its answers, which
    it does only in the first launch. Ctrl-C after two launches ends the comparison with the launches so far.
    """
    launches: list[float] = []
    medians: tuple[list[int], list[int]] = ([], [])
    so_far: ratio.Ratio | None = None
    stop: Stop = "max_seconds"
    with replacing.scratch() as scratch, locks.device_to_ourselves(on_wait):
        watch, began = ForeignLoad(), time.monotonic()
        while True:
            launch_began = time.monotonic()
            try:
                sides = tuple(make(Path(scratch), verify=not launches) for make in (base, new))
                with _started(sides, swap=len(launches) % 2 == 1) as (one, other):
                    deadline = time.monotonic() + LAUNCH_S
                    seen = alternating.alternate(
                        one, other, until=lambda deadline=deadline: time.monotonic() > deadline
                    )
            except KeyboardInterrupt:
                if len(launches) < 2:
                    raise
                stop = "interrupted"
                break
            launches.append(_of_pairs(*seen))
            for side, found in zip(medians, seen, strict=True):
                side += found
            so_far = ratio.of_ratios(launches) if len(launches) > 1 else None
            on_launch(len(launches), so_far)
            now = time.monotonic()
            if so_far and so_far.verdict(band) != "inconclusive":
                stop = "precision"
                break
            if len(launches) > 1 and now - began + (now - launch_began) > max_seconds:
                break
        notice = None if stop == "interrupted" else watch.notice()
    return AbComparison(
        base=sides[0].name, new=sides[1].name, ratio=so_far,
        verdict=so_far.verdict(band),
        base_median_ns=stats.median(medians[0]), new_median_ns=stats.median(medians[1]),
        base_fastest_ns=min(medians[0]), new_fastest_ns=min(medians[1]),
        launches=tuple(launches), bursts=len(medians[0]), stop=stop,
        seconds=time.monotonic() - began, notices=(notice,) if notice else (),
    )  # fmt: skip


def _of_pairs(base: list[int], new: list[int]) -> float:
    """A launch's ratio new ÷ base: the median of the ratios of neighbouring bursts.

    A virtual machine's speed varies by a fifth within a second, and this affects both bursts of a pair. Ratios of the
    sides' lower quartiles or medians differ several times as much between launches (docs/measuring.md).
    """
    return statistics.median(b / max(1, a) for a, b in zip(base, new, strict=True))


@contextmanager
def _started(
    sides: tuple[Contestant, Contestant], *, swap: bool
) -> Iterator[tuple[alternating.Worker, alternating.Worker]]:
    """Both sides, base first. The side that is started first alternates, in case that matters."""
    with alternating.both(*(sides[::-1] if swap else sides)) as (one, other):
        yield (other, one) if swap else (one, other)
