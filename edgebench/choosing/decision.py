"""A choice under limits, as data: what fits, what is best, what is a tie, what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgebench.choosing.limits import Limits, Prefer
from edgebench.results.figures import CRITERIA, Row

Outcome = Literal["chosen", "tie", "fits", "unknown", "broken"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One limit and one candidate. `by` is how far it is beyond the limit, in the limit's unit, and `by_share` the same
    as a share of the limit; None unless broken. `sure`: its 95 % interval does not hold the limit, or it has none.
    `reason` and `fix` where the figure is not known."""

    metric: str
    bound: float
    outcome: Literal["met", "broken", "unknown"]
    value: float | None = None
    by: float | None = None
    by_share: float | None = None
    sure: bool = True
    reason: str = ""
    fix: str = ""

    @property
    def text(self) -> str:
        """In words: "p99 23.1 ms, 3.10 ms (15.5 %) beyond 20.0 ms"."""
        criterion = CRITERIA[self.metric]
        if self.outcome == "unknown":
            return f"{self.metric} is not known: {self.reason}"
        found, bound = criterion.show(self.value), criterion.show(self.bound)
        if self.outcome == "met":
            kept = "within" if criterion.better == "less" else "no less than"
            return f"{self.metric} {found} {kept} {bound}{'' if self.sure else ', but its 95 % interval holds that'}"
        side = "beyond" if criterion.better == "less" else "short of"
        doubt = "" if self.sure else "; its 95 % interval holds the limit"
        return f"{self.metric} {found}, {criterion.show(self.by)} ({self.by_share:.1%}) {side} {bound}{doubt}"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A row that could be chosen, and what became of it.

    `chosen`; `tie`: nothing that was measured tells it from the chosen; `fits`: it keeps all limits, another is
    better; `unknown`: it breaks no limit, but one could not be checked; `broken`: it breaks a limit. `pareto`: none is
    better in one respect and no worse in all; None where a figure for that is missing.
    """

    row: Row
    outcome: Outcome
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
    """What to deploy on a device under limits, with all that it was chosen from.

    `candidates`: the chosen first, then ties, what fits, what is unknown and what breaks a limit, nearest first.
    `machine` says where all of them ran; `pareto_over` names the respects of the Pareto set; `power_scope` is what the
    power and energy figures are of, and `power_modelled` that they are no measurement; `changes`: with which looser
    limits another would be chosen.
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

    @property
    def chosen(self) -> Candidate | None:
        return next((c for c in self.candidates if c.outcome == "chosen"), None)

    @property
    def nearest(self) -> Candidate | None:
        """Where nothing fits: the candidate that is the least beyond its limits."""
        if self.chosen:
            return None
        return min((c for c in self.candidates if c.outcome == "broken"), key=lambda c: c.excess, default=None)


def name(row: Row) -> str:
    """A candidate in words: model, format, runtime and the setting."""
    parts = [row.precision, row.threads and f"{row.threads} thr.", row.batch > 1 and f"batch {row.batch}"]
    parts += [row.streams > 1 and f"{row.streams} in flight", row.power_mode]
    return f"{row.model} ({row.format}) on {row.runtime}, {', '.join(str(part) for part in parts if part)}"
