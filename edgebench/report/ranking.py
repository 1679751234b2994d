"""The order of the settings of a race, in lines."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.choosing.decision import name
from edgebench.records.jobs import MIN_LAUNCHES
from edgebench.records.race import Raced
from edgebench.records.result import Result
from edgebench.records.terminal import printable
from edgebench.results.rows import entry, told_apart


def lines(found: Sequence[Result]) -> list[str]:
    """Of each race among the results, a line for each setting: how it stands beside the one that is just faster."""
    told: list[str] = []
    for race in dict.fromkeys(result.race.race for result in found if result.race):
        inside = [result for result in found if result.race and result.race.race == race]
        inside.sort(key=lambda result: result.race.fastest.ratio if result.race.fastest else 1.0)
        rows = told_apart([entry(result).row for result in inside])
        names = {result.job.identity: name(row) for result, row in zip(inside, rows, strict=True)}
        told.append(f"race of {len(inside)} settings; the fastest is {names[inside[0].job.identity]}")
        told += [f"  {names[r.job.identity]}: {_beside(r.race, names)}" for r in inside[1:] if r.race.next]
    return [printable(line) for line in told]


def _beside(raced: Raced, names: dict[str, str]) -> str:
    lag, launches = raced.next, sum(effect is not None for effect in raced.effects)
    figure, than = f"{lag.ratio:.2f} ×", names.get(lag.job, "the one before")
    if lag.low is None:
        return f"{figure} as slow as {than}, by a single launch"
    figure += f" ({lag.low:.2f} to {lag.high:.2f})"
    if lag.standing == "tie":
        return f"a tie with {than}, {figure}"
    if lag.standing == "undecided" and launches < MIN_LAUNCHES:
        few = f"{launches} of the {MIN_LAUNCHES} launches that it takes: raise --max-seconds"
        return f"{figure} as slow as {than}, which is not certain ({few})"
    if lag.standing == "undecided":
        return f"not told apart from {than}, {figure}"
    return f"{figure} as slow as {than}"
