"""What to deploy on each device: the decision, its limits, the outcomes of the candidates, and close calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgebench.choosing.decision import Candidate, Decision
from edgebench.records.result import Result
from edgebench.report.choice import FLOOR, checked, why
from edgebench.report.page.markup import Html, el, join, parted, table, warned
from edgebench.report.written import MISSING, joined, scope
from edgebench.results.figures import CRITERIA, Row

CANDIDATES = 60  # in the table of one decision


def section(decisions: Sequence[Decision], numbers: dict[Row, int], read: dict[int, Result]) -> Html | None:
    """A card for each device, and for each task there; None if there is nothing to choose from."""
    if not decisions:
        return None
    on = Counter(decision.device for decision in decisions)
    cards = [_card(decision, numbers, read, several=on[decision.device] > 1) for decision in decisions]
    return el("section", el("h2", "The decision", class_="hidden", id="decision-heading"), *cards,
              id="decision", aria_labelledby="decision-heading")  # fmt: skip


def _card(decision: Decision, numbers: dict[Row, int], read: dict[int, Result], *, several: bool) -> Html:
    chosen, nearest = decision.chosen, decision.nearest
    asked = ", ".join(bound.told for bound in decision.limits.bounds()) or "no limits were given"
    where = f"What to deploy on {decision.device}" + (f": {decision.judged_on}" if several else "")
    parts: list[object] = [el("h3", where, " ", el("span", decision.evidence, class_="tag"))]
    if chosen:
        parts += [el("p", _link(chosen, numbers), class_="answer"), _figures(chosen.row)]
        result = read.get(numbers.get(chosen.row))
        told = [el("li", el("b", n.code), f": {n.message} ({n.remedy})") for n in (result.notices if result else ())]
        parts.append(el("ul", *told, class_="warnings") if told else None)
    else:
        parts.append(el("p", "Nothing is known to fit", class_="answer"))
        if nearest:
            broken = "; ".join(checked(nearest, nearest.broken))
            parts.append(el("p", "Nearest miss: ", _link(nearest, numbers), f": {broken}."))
    parts.append(_checks(chosen))
    counts = Counter(candidate.outcome for candidate in decision.candidates)
    told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    candidates = f"{len(decision.candidates)} candidate{'s' * (len(decision.candidates) != 1)}"
    note = f"Asked: {asked}; preferring {decision.prefer}. Of {candidates}: {told}."
    parts.append(el("p", note, class_="note"))
    close = [el("li", "Tie: ", _link(c, numbers)) for c in decision.candidates if c.outcome == "tie"][:5]
    if not chosen:
        unknown = [c for c in decision.candidates if c.outcome == "unknown"][:3]
        close += [el("li", "Might fit: ", _link(c, numbers), f": {_open(c)}") for c in unknown]
        useless = [c for c in decision.candidates if c.outcome in ("no better", "slower")][:3]
        close += [el("li", "Not chosen: ", _link(c, numbers), f": {c.reason}") for c in useless]
    close += [el("li", f"Another answer with {change}") for change in decision.changes]
    close += [el("li", note) for note in decision.notes]
    parts.append(el("ul", *close) if close else None)
    parts.append(_candidates(decision, numbers))
    kind = "fits" if chosen else "none"
    return el("article", *parts, class_=f"decision {kind}")


def _link(candidate: Candidate, numbers: dict[Row, int]) -> Html:
    number = numbers.get(candidate.row)
    name = parted(candidate.name)
    return el("a", name, href=f"#row-{number}") if number else el("span", name)


def _figures(row: Row) -> Html:
    """The figures of the chosen candidate, with their intervals below."""
    told = []
    for criterion in CRITERIA.values():
        known = criterion.known(row)
        if known.value is None:
            continue
        interval = None
        if criterion.column.interval_of(row) is not None:
            interval = f"{criterion.show(known.low)} to {criterion.show(known.high)}"
        value = [criterion.show(known.value), el("small", interval) if interval else None]
        told.append(el("div", el("dt", criterion.title or criterion.name), el("dd", *value)))
    return el("dl", *told)


def _open(candidate: Candidate) -> str:
    """What is unknown about it, and how to measure it."""
    return "; ".join(f"{check.reason} ({check.fix})" for check in candidate.unknown)


def _checks(chosen: Candidate | None) -> Html | None:
    if chosen is None or not chosen.checks:
        return None
    return el("ul", *(el("li", text) for text in checked(chosen, chosen.checks)))


def _candidates(decision: Decision, numbers: dict[Row, int]) -> Html:
    shown = decision.candidates[:CANDIDATES]
    criteria = [c for c in CRITERIA.values() if any(c.known(each.row).value is not None for each in shown)]
    headings = ["candidate", "outcome", *(f"{c.name} {c.unit}".strip() for c in criteria), "why"]
    lines = []
    for candidate in shown:
        cells: list[object] = [
            join([_link(candidate, numbers), warned(candidate.row)]),
            f"{candidate.outcome}{' *' if candidate.pareto else ''}",
        ]
        for criterion in criteria:
            value = criterion.known(candidate.row).value
            cells.append(MISSING if value is None else criterion.show(value).removesuffix(f" {criterion.unit}"))
        lines.append([*cells, why(candidate)])
    if (floor := decision.floor_accuracy) is not None:
        known = [f"{floor:.1%}" if criterion.name == "accuracy" else MISSING for criterion in criteria]
        lines.append([FLOOR, "floor", *known, ""])
    reasons = Counter(aside.reason for aside in decision.aside)
    notes = [f"* is in the Pareto set over {', '.join(decision.pareto_over)}."]
    notes += [f"{len(decision.candidates) - len(shown)} more are not shown."] * (len(decision.candidates) > len(shown))
    notes += [f"Not ranked: {n} × {reason}." for reason, n in reasons.most_common(6)]
    notes += [f"Accuracy is of: {decision.judged_on}."] * bool(decision.judged_on)
    notes += [f"Power and energy cover: {scope(decision)}."] * bool(decision.power_scope)
    notes += [f"Measured on: {joined(decision.machine)}."] * bool(decision.machine)
    return el(
        "details", el("summary", "All candidates, and why they were not chosen"),
        table(f"Candidates for {decision.device}", headings, lines, class_="candidates"),
        *(el("p", note, class_="note") for note in notes),
    )  # fmt: skip
