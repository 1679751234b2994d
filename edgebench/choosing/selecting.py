"""`select`: chooses among rows of the report under limits."""

from __future__ import annotations

import math
import typing
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgebench.choosing import comparables, slower
from edgebench.choosing.decision import Candidate, CandidateOutcome, Check, Decision
from edgebench.choosing.limits import ORDER, Bound, Limits, Prefer, known_classes
from edgebench.errors import unknown_name
from edgebench.records.jobs import LATENCY, MIN_LAUNCHES
from edgebench.results import recalls
from edgebench.results.columns import Known
from edgebench.results.context import listed
from edgebench.results.figures import CRITERIA, Row
from edgebench.results.recalls import RECALL

TRIED = 6  # of the candidates that miss a limit, so many of the nearest are tried under looser limits
NEARLY = 0.005  # exact figures that differ by less are the same: a table of three digits shows no difference
FAR = 50  # a figure this many times beyond a limit: the limit was probably given in another unit


def select(
    rows: Sequence[Row],
    limits: Limits | None = None,
    *,
    device: str | None = None,
    prefer: Prefer = "accuracy",
    scenario: str = LATENCY,
    batch: int | None = None,
    dataset: str | None = None,
) -> Decision:
    """Choose among the rows of one device, scenario and batch size (of latency, 1 by default) under the limits.

    Only the best evidence available is ranked, and only what ran on the machine that was measured last. Of the rows
    that keep all limits, the best by `prefer` is chosen. Those that its 95 % interval does not distinguish from it tie,
    and the next criterion in ORDER decides among them. What is no better than always answering the most frequent class
    is not chosen. `dataset`: only its rows; NAME@HASH tells test splits of one name apart. Raises UsageError for an
    impossible limit, an unknown name, or rows of several test splits, EdgebenchError if there is nothing to choose
    from.
    """
    limits = limits or Limits()
    limits.check()
    if prefer not in typing.get_args(Prefer):
        raise unknown_name("preference", prefer, typing.get_args(Prefer))
    rows, device, beside = comparables.of_device(comparables.of_dataset(rows, dataset), device, scenario)
    rows, aside = comparables.together(rows, 1 if batch is None and scenario == LATENCY else batch)
    split, doubts = comparables.one_test_split(rows)
    if classes := {name: None for row in rows for name, *_ in row.class_counts}:
        known_classes(limits, list(classes))
    evidence, machine = (rows[0].evidence, rows[0].machine) if rows else ("", ())
    wanted = [m for m in CRITERIA if m in ("accuracy", "latency", prefer) or CRITERIA[m].limit.name in limits.given()]
    figures = [{m: CRITERIA[m].known(row) for m in {*wanted, *ORDER[prefer]}} for row in rows]
    scope, modelled = comparables.one_scope(rows, figures)
    over = tuple(m for m in wanted if any(found[m].value is not None for found in figures))
    judged = list(map(_judged, rows, figures, _pareto(figures, over), [limits.bounds()] * len(rows)))
    judged = _passed_over(judged, figures, limits, prefer)
    made, notes = _ranked(judged, figures, prefer)
    return Decision(
        device=device, scenario=scenario, limits=limits, prefer=prefer, evidence=evidence, machine=machine,
        candidates=tuple(sorted(made, key=_place)), aside=tuple(aside), pareto_over=over, power_scope=scope,
        power_modelled=modelled, notes=(*notes, *_units(made), *doubts, *beside), judged_on=split.told if split else "",
        changes=tuple(_changes(judged, made, figures, limits, prefer)),
    )  # fmt: skip


def _passed_over(
    judged: Sequence[Candidate], figures: Sequence[dict[str, Known]], limits: Limits, prefer: Prefer
) -> Sequence[Candidate]:
    """Without those that are slower than fp32, unless something else than speed was asked for."""
    small = {"max_size_mb", "max_memory_mb"} & {*limits.given()}
    return judged if prefer in ("size", "energy") or small else slower.passed_over(judged, figures)


def _judged(row: Row, figures: dict[str, Known], pareto: bool | None, bounds: Sequence[Bound]) -> Candidate:
    """The candidate that a row becomes: checked against each limit, and beside the majority."""
    places = [*CRITERIA, RECALL.name]
    limited = sorted(bounds, key=lambda bound: places.index(bound.criterion.name))
    checks = tuple(_check(row, b, recalls.known(row, b.of) if b.of else figures[b.criterion.name]) for b in limited)
    outcomes = {check.outcome for check in checks}
    outcome: CandidateOutcome = "broken" if "broken" in outcomes else "unknown" if "unknown" in outcomes else "fits"
    reason = _no_better(row) if row.beside_majority == "no better" else ""
    if reason and outcome != "broken":
        outcome = "no better"
    return Candidate(row=row, outcome=outcome, checks=checks, pareto=pareto, reason=reason)


def _no_better(row: Row) -> str:
    accuracy, whose = row.deployed_accuracy, "its"
    if accuracy is None:
        accuracy, whose = row.test_accuracy, "the checkpoint's"
    never = [name for name, images, right in row.class_counts if images and not right]
    return (
        f"{whose} accuracy, {100 * accuracy:.1f} %, is no better than the {100 * row.majority_share:.1f} % of always "
        f"answering the most frequent class{f'; never found: {listed(never)}' if never else ''}"
    )


def _check(row: Row, bound: Bound, known: Known) -> Check:
    criterion, limit = bound.criterion, bound.value
    made = Check(metric=criterion.name, of=bound.of, bound=limit, outcome="unknown", reason=known.reason, fix=known.fix)
    if known.value is None:
        return made
    made = replace(made, outcome="met", value=known.value, sure=not known.holds(limit))
    if bound.of or criterion.column.interval_of(row):
        made = replace(made, low=known.low, high=known.high)
    if not criterion.is_better(limit, than=known.value):
        return made
    by = abs(known.value - limit)
    return replace(made, outcome="broken", by=by, by_share=by / limit)


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
        left = [i for i in known if _alike(figures[i], best)]
        for i in set(known) - set(left):
            of = f"{criterion.name} {criterion.show(figures[i].value)}, the best has {criterion.show(best.value)}"
            alike = f"{ORDER[prefer][0]} is not distinguishable from the best, but " * (position > 0)
            done[i] = replace(made[i], reason=alike + of)
    if left:
        chosen = min(left, key=lambda i: _order(made[i].row, every[i], prefer))
        for i in left:
            done[i] = replace(made[i], outcome="tie", reason="not distinguishable from the chosen one")
        done[chosen] = replace(made[chosen], outcome="chosen")
        notes += _doubts(made[chosen].row)
    return done, notes


def _alike(one: Known, other: Known) -> bool:
    """Whether two known figures do not differ: their intervals overlap, or they are exact and nearly the same, as two
    sizes that differ in a few bytes."""
    exact = one.low is None and other.low is None
    return one.overlaps(other) or (exact and math.isclose(one.value, other.value, rel_tol=NEARLY))


def _doubts(row: Row) -> list[str]:
    """What speaks against the accuracy of the chosen one, and what is known of the loss by its precision."""
    told = []
    if row.beside_majority in ("unclear", "below"):
        share = f"{100 * row.majority_share:.1f} %"
        told.append(f"its accuracy is not clearly above the {share} of always answering the most frequent class")
    if never := [name for name, images, right in row.class_counts if images and not right]:
        told.append(f"it never finds {listed(never)}")
    if row.beside_floor in ("unclear", "below"):
        told.append(f"it does not clearly beat the best method without a network, at {100 * row.floor_accuracy:.1f} %")
    if row.median_ms is not None and row.launches < MIN_LAUNCHES:
        launches = "one launch" if row.launches == 1 else f"{row.launches} launches"
        told.append(f"it was measured in {launches} only: that says little about how launches differ")
    if row.judged:
        told.append(f"{row.precision}: {row.judged}")
    return told


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
    misses = [i for i, c in enumerate(made) if c.broken and not c.unknown and c.row.beside_majority != "no better"]
    if chosen is not None:
        misses = [i for i in misses if not _worse(every[i], every[chosen], prefer)]
    for i in sorted(misses, key=lambda i: made[i].excess)[:TRIED]:
        looser = {(b.name, b.of): b for c in made[i].broken if (b := _loosened(c))}
        if len(looser) < len(made[i].broken):
            continue
        asked = [looser.get((bound.name, bound.of), bound) for bound in limits.bounds()]
        again = [
            _judged(c.row, every[j], c.pareto, asked)
            if c.outcome == "broken" and c.excess <= made[i].excess + 0.02  # a looser limit is rounded to three digits
            else c
            for j, c in enumerate(judged)
        ]
        again = _passed_over(again, every, limits, prefer)
        other = next((j for j, c in enumerate(_ranked(again, every, prefer)[0]) if c.outcome == "chosen"), chosen)
        if other != chosen and other not in found:
            value = every[other][criterion.name].value
            why = "" if value is None else f" ({criterion.name} {criterion.show(value)})"
            found[other] = f"{' '.join(bound.told for bound in looser.values())}: {made[other].name}{why}"
        if len(found) == 3:
            break
    return list(found.values())


def _worse(one: dict[str, Known], than: dict[str, Known], prefer: Prefer) -> bool:
    """Whether the first criterion that distinguishes the two favours `than`. Unknown figures distinguish nothing."""
    for criterion in (CRITERIA[m] for m in ORDER[prefer]):
        mine, other = one[criterion.name], than[criterion.name]
        if None not in (mine.value, other.value) and not _alike(mine, other):
            return criterion.is_better(other.value, than=mine.value)
    return True


def _loosened(check: Check) -> Bound | None:
    """The limit, to three digits, that the value would just keep; None if that would be none, as for a share of 0."""
    step = 10.0 ** (math.floor(math.log10(abs(check.value))) - 2) if check.value else 1.0
    criterion = recalls.criterion(check.metric)
    rounded = (math.ceil if criterion.sign > 0 else math.floor)(check.value / step) * step
    return Bound(criterion.limit.name, float(f"{rounded:.6g}"), check.of) if rounded > 0 else None


def _place(candidate: Candidate) -> tuple:
    """The order of the candidates: the chosen one first, then by outcome, then by how near they are to the limits."""
    row = candidate.row
    accuracy = row.deployed_accuracy if row.deployed_accuracy is not None else -1.0
    rank = typing.get_args(CandidateOutcome).index(candidate.outcome)
    return (rank, candidate.excess, -accuracy, row.median_ms or float("inf"), row.created)


def _units(made: Sequence[Candidate]) -> list[str]:
    """A hint for each limit that every candidate breaks by so much that it is probably in another unit."""
    found: Counter[Bound] = Counter()
    for candidate in made:
        for check in candidate.checks:
            if (
                check.outcome == "broken"
                and check.value
                and max(check.value / check.bound, check.bound / check.value) > FAR
            ):
                found[Bound(recalls.criterion(check.metric).limit.name, check.bound, check.of)] += 1
    return [
        f"{bound.told}: every candidate is more than {FAR} times beyond it; is it in "
        f"{bound.criterion.unit or 'shares of 1'}?"
        for bound, n in found.items()
        if n == len(made)
    ]
