"""A choice under limits, as data: each candidate with its checks, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebench.choosing.limits import Limits, Prefer
from edgebench.results.figures import Row

CandidateOutcome = Literal["chosen", "tie", "fits", "unknown", "no better", "slower", "broken"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One candidate against one limit, whose value is `bound`. `of`: the class whose recall it is about.

    `by`: how far the candidate is beyond the limit, in the limit's unit; `by_share`: the same as a share of the limit;
    both None unless broken. `low`, `high`: the figure's 95 % interval, if it has one. `sure`: that does not include
    the limit, or there is none.
    `reason` and `fix`: why the figure is unknown, and what to do about it.
    """

    metric: str
    bound: float
    outcome: Literal["met", "broken", "unknown"]
    value: float | None = None
    by: float | None = None
    by_share: float | None = None
    sure: bool = True
    reason: str = ""
    fix: str = ""
    of: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A row that could be chosen, and what became of it.

    `chosen`; `tie`: no measurement distinguishes it from the chosen one; `fits`: it keeps all limits, but another is
    better; `unknown`: it breaks no limit, but one could not be checked; `no better`: it breaks no limit, but is no
    better than always answering the most frequent class; `slower`: it breaks no limit, but the same network in fp32 is
    faster; `broken`: it breaks a limit. `pareto`: no other is better in one criterion and as good in all; None where a
    figure for that is missing.
    """

    row: Row
    outcome: CandidateOutcome
    checks: tuple[Check, ...]
    pareto: bool | None
    reason: str = ""

    @property
    def name(self) -> str:
        return name(self.row)

    @property
    def broken(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "broken")

    @property
    def unknown(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome == "unknown")

    @property
    def excess(self) -> float:
        """The largest share by which it is beyond a limit; 0 where it breaks none."""
        return max((check.by_share for check in self.broken), default=0.0)


@dataclass(frozen=True, kw_only=True)
class Aside:
    """A row that was not ranked with the others, and why."""

    row: Row
    reason: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to deploy on a device under limits, with everything that it was chosen from.

    `candidates`: the chosen one first, then ties, what fits, what is unknown and what breaks a limit, nearest first.
    `machine` is where all of them ran; `pareto_over` names the criteria of the Pareto set; `power_scope` is what the
    power and energy figures cover, and `power_modelled` says that they were not measured; `changes`: the looser limits
    with which another candidate would be chosen. `judged_on`: the test images of all accuracies, in words.
    """

    device: str
    scenario: str
    limits: Limits
    prefer: Prefer
    evidence: str
    machine: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    aside: tuple[Aside, ...]
    pareto_over: tuple[str, ...]
    power_scope: str
    power_modelled: bool
    notes: tuple[str, ...]
    changes: tuple[str, ...]
    judged_on: str = ""

    @property
    def chosen(self) -> Candidate | None:
        return next((c for c in self.candidates if c.outcome == "chosen"), None)

    @property
    def floor_accuracy(self) -> float | None:
        """What the best method without a network reaches on the images of the chosen candidate, or of the first."""
        found = (c.row.floor_accuracy for c in self.candidates if c.row.floor_accuracy is not None)
        return next(found, None)

    @property
    def nearest(self) -> Candidate | None:
        """Where nothing fits: the candidate that misses its limits by the least."""
        if self.chosen:
            return None
        return min((c for c in self.candidates if c.outcome == "broken"), key=lambda c: c.excess, default=None)


def name(row: Row) -> str:
    """A candidate in words: model, format, runtime and the setting."""
    parts = [row.precision_told, row.threads and f"{row.threads} thr.", row.batch > 1 and f"batch {row.batch}"]
    parts += [row.streams > 1 and f"{row.streams} in flight", row.power_mode]
    return f"{row.name} ({row.format}) on {row.runtime}, {', '.join(str(part) for part in parts if part)}"
