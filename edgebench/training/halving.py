"""Successive halving: every candidate gets a brief trial, and only those that do well get longer ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Candidate = TypeVar("Candidate", bound=Hashable)

KEPT = 1 / 3  # of the candidates, from each round to the next (Jamieson & Talwalkar, AISTATS 2016, with η = 3)
CLOSE = 1.1  # … and every candidate within this factor of the best: a short trial on a busy machine errs by as much
FINALISTS = 3
LAST = 2  # number of the last round, which decides


def room(candidates: int) -> int:
    """How many of so many candidates get a longer trial."""
    return max(FINALISTS, math.ceil(candidates * KEPT))


def rungs(candidates: int) -> tuple[int, ...]:
    """How many candidates each rung tries, from all of them to the few of which the last rung chooses one."""
    if candidates <= FINALISTS:
        return (candidates,)
    return (candidates, *rungs(room(candidates)))


def halve(
    candidates: Sequence[Candidate],
    look: Callable[[Candidate, int], float | None],
    *,
    always: Sequence[Candidate] = (),
) -> dict[Candidate, float]:
    """The cost of each candidate that is left after the last round, lowest (best) first.

    `look(candidate, round)` returns its cost in round 0, 1 and 2, and may spend more in each round; None drops the
    candidate. A few candidates skip round 1. A candidate's cost is the lowest that was seen, because disturbances only
    make a measurement slower. `always`: candidates that are kept in every round, to compare with.
    """
    costs: dict[Candidate, float] = {}
    left, number = list(dict.fromkeys(candidates)), 0
    while True:
        for candidate in left:
            cost = look(candidate, number)
            if cost is None:
                costs.pop(candidate, None)
            else:
                costs[candidate] = min(cost, costs.get(candidate, math.inf))
        left = sorted((c for c in left if c in costs), key=costs.__getitem__)
        if number == LAST or not left:
            return {candidate: costs[candidate] for candidate in left}
        best, most = costs[left[0]], room(len(left))
        left = [c for i, c in enumerate(left) if c in always or i < most or costs[c] <= CLOSE * best]
        number = LAST if len(left) <= max(FINALISTS, len(always)) else number + 1
