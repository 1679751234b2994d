"""`select`: chooses among rows of the report under limits."""

from __future__ import annotations

import math
import typing
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgebench.choosing.decision import Aside, Candidate, CandidateOutcome, Check, Decision
from edgebench.choosing.limits import ORDER, Limits, Prefer
from edgebench.errors import EdgebenchError, UsageError, unknown_name
from edgebench.records.jobs import LATENCY
from edgebench.records.options import flag
from edgebench.results.columns import Criterion, Known
from edgebench.results.figures import CRITERIA, Row

EVIDENCE = ("measured", "emulated", "scripted")  # only the best available is ranked
TRIED = 6  # of the candidates that miss a limit, so many of the nearest are tried under looser limits
FAR = 50  # a figure this many times beyond a limit: the limit was probably given in another unit


def select(
    rows: Sequence[Row],
    limits: Limits | None = None,
    *,
    device: str | None = None,
    prefer: Prefer = "accuracy",
    scenario: str = LATENCY,
    batch: int | None = None,
) -> Decision:
    """Choose among the rows of one device, scenario and batch size (of latency, 1 by default) under the limits.

    Only the best evidence available is ranked, and only what ran on the machine that was measured last. Of the rows
    that keep all limits, the best by `prefer` is chosen. Those that its 95 % interval does not distinguish from it tie,
    and the next criterion in ORDER decides among them. Raises UsageError for an impossible limit or an unknown name,
    EdgebenchError if there is nothing to choose from.
    """
    limits = limits or Limits()
    limits.check()
    if prefer not in typing.get_args(Prefer):
        raise unknown_name("preference", prefer, typing.get_args(Prefer))
    rows, device = _of_device(rows, device, scenario)
    rows, aside = _comparable(rows, 1 if batch is None and scenario == LATENCY else batch)
    evidence, machine = (rows[0].evidence, rows[0].machine) if rows else ("", ())
    wanted = [m for m in CRITERIA if m in ("accuracy", "latency", prefer) or CRITERIA[m].limit.name in limits.given()]
    figures = [{m: CRITERIA[m].known(row) for m in {*wanted, *ORDER[prefer]}} for row in rows]
    scope, modelled = _one_scope(rows, figures)
    over = tuple(m for m in wanted if any(found[m].value is not None for found in figures))
    judged = list(map(_judged, rows, figures, _pareto(figures, over), [limits.given()] * len(rows)))
    made, notes = _ranked(judged, figures, prefer)
    return Decision(
        device=device, scenario=scenario, limits=limits, prefer=prefer, evidence=evidence, machine=machine,
        candidates=tuple(sorted(made, key=_place)), aside=tuple(aside), pareto_over=over, power_scope=scope,
        power_modelled=modelled, notes=(*notes, *_units(made)),
        changes=tuple(_changes(judged, made, figures, limits, prefer)),
    )  # fmt: skip


def _of_device(rows: Sequence[Row], device: str | None, scenario: str) -> tuple[list[Row], str]:
    devices = sorted({row.device for row in rows})
    if not rows:
        raise EdgebenchError("there are no results to choose from", "make some: `edgebench run`, `edgebench evaluate`")
    if device is None and len(devices) > 1:
        raise UsageError(f"there are results of several devices: {', '.join(devices)}", "say which: --device NAME")
    device = device or devices[0]
    if device not in devices:
        raise unknown_name("device in the results", device, devices)
    scenarios = sorted({row.scenario for row in rows if row.device == device})
    if scenario not in scenarios:
        raise EdgebenchError(
            f"there are no results of the scenario {scenario} on {device}, but of {', '.join(scenarios)}",
            f"`edgebench run --device {device} --scenario {scenario}`, or choose by another --scenario",
        )
    return [row for row in rows if row.device == device and row.scenario == scenario], device


def _comparable(rows: Sequence[Row], batch: int | None) -> tuple[list[Row], list[Aside]]:
    """The rows that can be ranked together (usable, of the same batch size, evidence and machine), and the others."""
    aside: list[Aside] = []
    if batch is not None:
        rows = _apart(rows, aside, lambda r: f"batch {r.batch}, not {batch}" if r.batch != batch else "")
    rows = _apart(rows, aside, _unusable)
    evidence = next((e for e in EVIDENCE if any(r.evidence == e for r in rows)), "")
    rows = _apart(rows, aside, lambda r: f"{r.evidence}, not {evidence}" if r.evidence != evidence else "")
    machine = max(rows, key=lambda r: r.created).machine if rows else ()
    why = "another machine ({}) than the one measured last"
    rows = _apart(rows, aside, lambda r: why.format(", ".join(r.machine) or "unknown") * (r.machine != machine))
    return rows, aside


def _one_scope(rows: Sequence[Row], figures: list[dict[str, Known]]) -> tuple[str, bool]:
    """The scope of the power figures that are compared, which is that of most rows. The others become unknown."""
    scopes = Counter((row.power_scope, row.power_modelled) for row in rows if row.power_scope)
    if not scopes:
        return "", False
    one = min(scopes, key=lambda scope: (scope[1], -scopes[scope], scope))
    for row, found in zip(rows, figures, strict=True):
        if row.power_scope and (row.power_scope, row.power_modelled) != one:
            mine, others = _named(row.power_scope, row.power_modelled), _named(*one)
            why = f"its power covers the {mine}, the others' the {others}"
            other = Known(value=None, reason=why, fix="measure all with one meter")
            found |= {name: other for name in ("power", "energy") if name in found}
    return one


def _named(scope: str, modelled: bool) -> str:
    return f"{scope}, modelled" if modelled else scope


def _apart(rows: Sequence[Row], aside: list[Aside], why: Callable[[Row], str]) -> list[Row]:
    """The rows for which `why` gives no reason; the others go to `aside`, with the reason."""
    reasons = [why(row) for row in rows]
    aside += [Aside(row=row, reason=reason) for row, reason in zip(rows, reasons, strict=True) if reason]
    return [row for row, reason in zip(rows, reasons, strict=True) if not reason]


def _unusable(row: Row) -> str:
    if row.status != "ok":
        return f"{row.status}: {row.message}" if row.message else row.status
    return "its answers differ from torch's" if "unverified" in row.warnings else ""


def _judged(row: Row, figures: dict[str, Known], pareto: bool | None, bounds: dict[str, float]) -> Candidate:
    """The candidate that a row becomes: checked against each limit."""
    limited = [criterion for criterion in CRITERIA.values() if criterion.limit.name in bounds]
    checks = tuple(_check(c, figures[c.name], bounds[c.limit.name]) for c in limited)
    outcomes = {check.outcome for check in checks}
    outcome: CandidateOutcome = "broken" if "broken" in outcomes else "unknown" if "unknown" in outcomes else "fits"
    return Candidate(row=row, outcome=outcome, checks=checks, pareto=pareto)


def _check(criterion: Criterion, known: Known, bound: float) -> Check:
    made = Check(metric=criterion.name, bound=bound, outcome="unknown", reason=known.reason, fix=known.fix)
    if known.value is None:
        return made
    made = replace(made, outcome="met", value=known.value, sure=not known.holds(bound))
    if not criterion.is_better(bound, than=known.value):
        return made
    by = abs(known.value - bound)
    return replace(made, outcome="broken", by=by, by_share=by / bound)


def _pareto(figures: list[dict[str, Known]], over: Sequence[str]) -> list[bool | None]:
    """For each row, whether no other is as good in all criteria and better in one; None if a figure is unknown."""
    known = [all(found[m].value is not None for m in over) for found in figures]
    points = [
        tuple(CRITERIA[m].sign * found[m].value for m in over) if whole else None
        for found, whole in zip(figures, known, strict=True)
    ]
    distinct = sorted({p for p in points if p is not None})  # a point that dominates another sorts before it
    front, n = np.empty((len(over), len(distinct))), 0
    for point in distinct:
        if not (front[:, :n] <= np.array(point)[:, None]).all(axis=0).any():
            front[:, n], n = point, n + 1
    best = set(map(tuple, front[:, :n].T.tolist()))
    return [None if point is None else point in best for point in points]


def _ranked(
    made: list[Candidate], every: Sequence[dict[str, Known]], prefer: Prefer
) -> tuple[list[Candidate], list[str]]:
    """The candidates, with the choice made among those that fit, and notes on it."""
    left = [i for i, candidate in enumerate(made) if candidate.outcome == "fits"]
    done, notes = list(made), []
    for position, criterion in enumerate(CRITERIA[m] for m in ORDER[prefer]):
        figures = {i: every[i][criterion.name] for i in left}
        known = [i for i in left if figures[i].value is not None]
        if left and not known and position == 0:
            why = figures[left[0]]
            unknown = "decides nothing: it is unknown for every candidate that fits"
            notes.append(f"{criterion.name} {unknown}: {why.reason} ({why.fix})")
        if not known or (position > 0 and known != left):
            continue  # a figure that some of them lack cannot decide
        for i in set(left) - set(known):
            done[i] = replace(made[i], outcome="unknown", reason=figures[i].reason)
        best = figures[min(known, key=lambda i: criterion.sign * figures[i].value)]
        left = [i for i in known if figures[i].overlaps(best)]
        for i in set(known) - set(left):
            of = f"{criterion.name} {criterion.show(figures[i].value)}, the best has {criterion.show(best.value)}"
            alike = f"{ORDER[prefer][0]} is not distinguishable from the best, but " * (position > 0)
            done[i] = replace(made[i], reason=alike + of)
    if left:
        chosen = min(left, key=lambda i: _order(made[i].row, every[i], prefer))
        for i in left:
            done[i] = replace(made[i], outcome="tie", reason="not distinguishable from the chosen one")
        done[chosen] = replace(made[chosen], outcome="chosen")
    return done, notes


def _order(row: Row, figures: dict[str, Known], prefer: Prefer) -> tuple:
    """The order by plain values, for ties that no interval resolves; unknown figures come last."""
    values = [(CRITERIA[m].sign, figures[m].value) for m in ORDER[prefer]]
    return (*((value is None, sign * (value or 0.0)) for sign, value in values), row.created)


def _changes(
    judged: Sequence[Candidate], made: Sequence[Candidate], every: Sequence[dict[str, Known]], limits: Limits,
    prefer: Prefer,
) -> list[str]:  # fmt: skip
    """Which looser limits would change the choice: the nearest three. Each is tried by choosing again under it."""
    criterion = CRITERIA[ORDER[prefer][0]]
    chosen = next((i for i, candidate in enumerate(made) if candidate.outcome == "chosen"), None)
    found: dict[int, str] = {}
    misses = [i for i, candidate in enumerate(made) if candidate.broken and not candidate.unknown]
    if chosen is not None:
        misses = [i for i in misses if not _worse(every[i], every[chosen], prefer)]
    for i in sorted(misses, key=lambda i: made[i].excess)[:TRIED]:
        looser = {CRITERIA[c.metric].limit.name: float(_loosened(c)) for c in made[i].broken}
        again = [
            _judged(c.row, every[j], c.pareto, limits.given() | looser)
            if c.outcome == "broken" and c.excess <= made[i].excess + 0.02  # a looser limit is rounded to three digits
            else c
            for j, c in enumerate(judged)
        ]
        other = next((j for j, c in enumerate(_ranked(again, every, prefer)[0]) if c.outcome == "chosen"), chosen)
        if other != chosen and other not in found:
            value = every[other][criterion.name].value
            why = "" if value is None else f" ({criterion.name} {criterion.show(value)})"
            asked = " ".join(f"{flag(CRITERIA[c.metric].limit.name)} {_loosened(c)}" for c in made[i].broken)
            found[other] = f"{asked}: {made[other].name}{why}"
        if len(found) == 3:
            break
    return list(found.values())


def _worse(one: dict[str, Known], than: dict[str, Known], prefer: Prefer) -> bool:
    """Whether the first criterion that distinguishes the two favours `than`. Unknown figures distinguish nothing."""
    for criterion in (CRITERIA[m] for m in ORDER[prefer]):
        mine, other = one[criterion.name], than[criterion.name]
        if None not in (mine.value, other.value) and not mine.overlaps(other):
            return criterion.is_better(other.value, than=mine.value)
    return True


def _loosened(check: Check) -> str:
    """The limit, to three digits, that the value would just keep."""
    step = 10.0 ** (math.floor(math.log10(abs(check.value))) - 2) if check.value else 1.0
    rounded = (math.ceil if CRITERIA[check.metric].sign > 0 else math.floor)(check.value / step) * step
    return f"{rounded:.6g}"


def _place(candidate: Candidate) -> tuple:
    """The order of the candidates: the chosen one first, then by outcome, then by how near they are to the limits."""
    row = candidate.row
    accuracy = row.deployed_accuracy if row.deployed_accuracy is not None else -1.0
    rank = typing.get_args(CandidateOutcome).index(candidate.outcome)
    return (rank, candidate.excess, -accuracy, row.median_ms or float("inf"), row.created)


def _units(made: Sequence[Candidate]) -> list[str]:
    """A hint for each limit that every candidate breaks by so much that it is probably in another unit."""
    found: Counter[tuple[str, float]] = Counter()
    for candidate in made:
        for check in candidate.checks:
            if (
                check.outcome == "broken"
                and check.value
                and max(check.value / check.bound, check.bound / check.value) > FAR
            ):
                found[check.metric, check.bound] += 1
    return [
        f"{flag(CRITERIA[metric].limit.name)} {bound:g}: every candidate is more than {FAR} times beyond it; is it in "
        f"{CRITERIA[metric].unit or 'shares of 1'}?"
        for (metric, bound), n in found.items()
        if n == len(made)
    ]
