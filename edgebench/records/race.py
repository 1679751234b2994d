"""What a result knows of the race that it was measured in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebench.records.declared import Amount, Count, Effect, Nanoseconds, Positive, Ratio


@dataclass(frozen=True, kw_only=True)
class Lag:
    """A setting beside another of its race, whose job is `job`: its time as a multiple of the other's, with the 95 %
    interval, which a single launch does not have. `standing`: "slower", "tie" or "undecided" at the error of the whole
    race; very seldom "faster", where later launches spoke against the decision."""

    job: str
    ratio: Ratio
    low: Ratio | None
    high: Ratio | None
    standing: Literal["slower", "tie", "undecided", "faster"]


@dataclass(frozen=True, kw_only=True)
class Raced:
    """A setting's part in a race. Results of the same `race` ran by turns: their ratios are known better than their
    times, and launch by launch, from their `effects`.

    `effects`: by launch, the log of its time relative to the others; None where it took no part. `settings`: how many
    raced. `scatter`: the median over all pairs of the variance of the difference of their effects. `fastest`: beside
    the fastest one, and `next`: beside the one that is just faster; None for the fastest itself. `median_ns`: what
    follows from the ratio and the fastest one's own median. `rounds`: of all its launches together, and `disturbed`:
    those of them that do not count, since other programs took the processor.
    """

    race: str
    effects: tuple[Effect | None, ...]
    settings: Positive
    scatter: Amount
    fastest: Lag | None
    next: Lag | None
    median_ns: Nanoseconds | None
    rounds: Count
    disturbed: Count
