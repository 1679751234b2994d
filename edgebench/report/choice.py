"""A decision as a terminal table, Markdown or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgebench.choosing.decision import Candidate, Check, Decision
from edgebench.records import jsonio
from edgebench.records.notices import KINDS
from edgebench.records.terminal import printable
from edgebench.report.formats import fitting, markdown_safe
from edgebench.report.written import MISSING, joined, record, scope
from edgebench.results import recalls
from edgebench.results.columns import Criterion
from edgebench.results.figures import CRITERIA

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 40  # candidates shown in a terminal
FLOOR = "the best method without a network"
STYLES = {"chosen": "bold green", "tie": "green", "unknown": "yellow"} | dict.fromkeys(
    ("no better", "slower", "broken"), "red"
)
NOTE = (
    "tie: not distinguishable from the chosen one; unknown: a limit could not be checked, so it is not known to be "
    "kept; {others}broken: beyond a limit. * is in the Pareto set over {over}. Accuracy is the artifact's own, on "
    "its runtime."
)
REMEDY = KINDS["no_better_than_majority"].remedy
OTHERS = {  # where there is one
    "no better": "no better: than always answering the most frequent class; ",
    "slower": "slower: than the same network in fp32; ",
}


def _value(criterion: Criterion) -> Callable[[Candidate], str]:
    def cell(candidate: Candidate) -> str:
        value = criterion.known(candidate.row).value
        return MISSING if value is None else criterion.show(value).removesuffix(f" {criterion.unit}")

    return cell


def _accuracy(candidate: Candidate) -> str:
    row = candidate.row
    if row.deployed_accuracy is None:
        return MISSING
    return f"{row.deployed_accuracy:.1%} ({row.deployed_low:.1%}–{row.deployed_high:.1%})"


def _median(candidate: Candidate) -> str:
    row, plain = candidate.row, _value(CRITERIA["latency"])(candidate)
    return f"{plain} ± {row.half_width:.1%}" if row.half_width is not None else plain


def _lowest(candidate: Candidate) -> str:
    row = candidate.row
    return MISSING if row.lowest_recall is None else f"{row.lowest_recall:.1%} ({row.lowest_class})"


# What a terminal shows if it is too narrow for all: these columns first, then the others in the table's order.
FIRST = ("", "candidate", "median ms", "accuracy (95 %)", "why")


def _columns(decision: Decision) -> dict[str, Callable[[Candidate], str]]:
    """Heading → cell: accuracy and median, then every other figure that is limited or known, speed before cost."""
    columns: dict[str, Callable[[Candidate], str]] = {
        "": lambda c: f"{c.outcome}{' *' if c.pareto else ''}",
        "candidate": lambda c: c.name,
        "accuracy (95 %)": _accuracy,
        "median ms": _median,
    }
    limited = {check.metric for candidate in decision.candidates[:1] for check in candidate.checks}
    for criterion in sorted(CRITERIA.values(), key=lambda criterion: criterion.kind != "speed"):
        if criterion.name in ("accuracy", "latency"):
            continue
        known = (criterion.known(c.row).value is not None for c in decision.candidates[:SHOWN])
        if criterion.name in limited or any(known):
            speed = criterion.kind == "speed"
            heading = criterion.column.heading if speed else f"{criterion.name} {criterion.unit}".strip()
            columns[heading] = _value(criterion)
    if any(candidate.row.lowest_recall is not None for candidate in decision.candidates[:SHOWN]):
        columns["lowest recall"] = _lowest
    return columns | {"why": why}


def floor_cells(decision: Decision, columns: Sequence[str]) -> list[str]:
    """The last line of a table with these headings: what needs no network. Empty where no floor is known."""
    if (accuracy := decision.floor_accuracy) is None:
        return []
    told = {"": "floor", "candidate": FLOOR, "accuracy (95 %)": f"{accuracy:.1%}", "why": ""}
    return [told.get(heading, MISSING) for heading in columns]


def why(candidate: Candidate) -> str:
    """Why a candidate was not chosen, or what is uncertain about the chosen one."""
    telling = [check for check in candidate.checks if check.outcome != "met" or not check.sure]
    return "; ".join([*checked(candidate, telling), *([candidate.reason] if candidate.reason else [])])


def checked(candidate: Candidate, checks: Sequence[Check]) -> list[str]:
    """Each check in words: "p99 23.1 ms, 15.5 % over the limit of 20 ms"."""
    return list(map(_checked, checks))


def _checked(check: Check) -> str:
    if check.outcome == "unknown":
        return check.reason
    criterion = recalls.criterion(check.metric)
    less, share = criterion.better == "less", criterion.column.percent is not None
    bound = f"{_plain(100 * check.bound)} %" if share else f"{_plain(check.bound)} {criterion.unit}"
    name = f"{criterion.name} of {check.of!r}" if check.of else criterion.name
    begun = f"{name} {criterion.show(check.value)}"
    if check.outcome == "met":
        doubt = "" if check.sure else f", but {_interval(check, criterion, 'above' if less else 'below')}"
        return f"{begun} {'≤' if less else '≥'} {bound}{doubt}"
    if share:
        by = f"{100 * check.by:.1f} points short of {bound}"
    elif not less:
        by = f"{100 * check.by_share:.1f} % short of {bound}"
    elif check.by_share < 1:
        by = f"{100 * check.by_share:.1f} % over the limit of {bound}"
    else:
        by = f"{float(f'{check.value / check.bound:.2g}'):,g} × the limit of {bound}"
    doubt = "" if check.sure else f", but {_interval(check, criterion, 'below' if less else 'above')}"
    return f"{begun}, {by}{doubt}"


def _plain(bound: float) -> str:
    """A limit as it was given, without an exponent."""
    return f"{bound:,.6f}".rstrip("0").rstrip(".") if bound >= 1e-6 else f"{bound:g}"


def _interval(check: Check, criterion: Criterion, side: str) -> str:
    """How well a figure is known that may lie on the other side of its limit."""
    if check.low is None:
        return f"without an interval it is known only to ± {criterion.unsure:.0%}".replace("%", " %")
    low = criterion.show(check.low).removesuffix(f" {criterion.unit or '%'}")
    return f"its 95 % interval ({low} to {criterion.show(check.high)}) reaches {side}"


def headline(decision: Decision) -> list[str]:
    """The answer in a few lines: what was chosen, or that nothing fits and the nearest miss."""
    label = (
        f" [{decision.evidence.upper()}, not measured on {decision.device}]" if decision.evidence != "measured" else ""
    )
    asked = ", ".join(bound.told for bound in decision.limits.bounds()) or "no limits"
    counts = Counter(c.outcome for c in decision.candidates)
    lines = []
    if chosen := decision.chosen:
        lines.append(f"chosen for {decision.device}{label}: {chosen.name}")
        lines += [f"  {text}" for text in checked(chosen, chosen.checks)]
        ties = [c.name for c in decision.candidates if c.outcome == "tie"]
        lines += [f"  tie: {tie}" for tie in ties[:5]]
    else:
        lines.append(f"nothing is known to fit on {decision.device}{label}")
        if nearest := decision.nearest:
            lines.append(f"  nearest miss: {nearest.name}: {'; '.join(checked(nearest, nearest.broken))}")
        for c in [c for c in decision.candidates if c.outcome == "unknown"][:3]:
            lines.append(f"  might fit: {c.name}: {'; '.join(f'{check.reason}: {check.fix}' for check in c.unknown)}")
        useless = [c for c in decision.candidates if c.outcome == "no better"]
        lines += [f"  not chosen: {c.name}: {c.reason}" for c in useless[:3]]
        lines += [f"  to find the other classes: {REMEDY}"] * bool(useless)
        lines += [f"  not chosen: {c.name}: {c.reason}" for c in decision.candidates if c.outcome == "slower"][:3]
    lines.append(f"asked: {asked}; preferring {decision.prefer}; {', '.join(f'{n} {o}' for o, n in counts.items())}")
    lines += [f"note: {note}" for note in decision.notes]
    lines += [f"another answer with {change}" for change in decision.changes]
    return [printable(line) for line in lines]


def _below(decision: Decision, left_out: int) -> list[str]:
    lines = [f"… and {left_out} more: --json has all"] if left_out else []
    reasons = Counter(aside.reason for aside in decision.aside)
    lines += [f"not ranked: {n} × {reason}" for reason, n in reasons.most_common(8)]
    lines += [f"not ranked: {sum(reasons.values())} in all"] if len(reasons) > 8 else []
    lines += [f"accuracy is of: {decision.judged_on}"] if decision.judged_on else []
    lines += [f"power and energy cover: {scope(decision)}"] if decision.power_scope else []
    lines += [f"measured on: {joined(decision.machine)}"] if decision.machine else []
    outcomes = {candidate.outcome for candidate in decision.candidates}
    others = "".join(told for outcome, told in OTHERS.items() if outcome in outcomes)
    return [*lines, NOTE.format(over=", ".join(decision.pareto_over), others=others)]


def terminal(decision: Decision, width: int) -> Table:
    """A rich table for a terminal of that width: the candidates, best first; below it, what was not ranked.

    Its caption names the columns for which the terminal is too narrow.
    """
    from rich.markup import escape
    from rich.table import Table

    shown, columns = decision.candidates[:SHOWN], _columns(decision)
    told = {heading: [printable(cell(candidate)) for candidate in shown] for heading, cell in columns.items()}
    for heading, floor in zip(columns, floor_cells(decision, list(columns)), strict=False):
        told[heading].append(floor)
    widths = fitting({heading: [heading, *cells] for heading, cells in told.items()}, width, FIRST, "why")
    lines = _below(decision, len(decision.candidates) - len(shown))
    if hidden := [heading for heading in columns if heading not in widths]:
        lines.insert(0, f"too narrow for: {', '.join(hidden)}; edgebench select --format markdown has them")
    caption = escape(printable("\n".join(lines)))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    kept = [heading for heading in columns if heading in widths]
    for heading in kept:
        justify = "left" if heading in ("", "candidate", "why") else "right"
        table.add_column(heading, justify=justify, overflow="fold", width=widths[heading])
    for i, cells in enumerate(zip(*(map(escape, told[heading]) for heading in kept), strict=True)):
        style = STYLES.get(shown[i].outcome) if i < len(shown) else None
        table.add_row(f"[{style}]{cells[0]}[/]" if style else cells[0], *cells[1:])
    return table


def markdown(decision: Decision) -> str:
    """The answer, the table of all candidates, and what was not ranked."""
    columns = _columns(decision)
    lines = [[heading or "outcome" for heading in columns], ["---"] * len(columns)]
    lines += [[markdown_safe(cell(c)) for cell in columns.values()] for c in decision.candidates]
    lines += [floor] if (floor := floor_cells(decision, list(columns))) else []
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    told = "\n".join(f"- {markdown_safe(line)}" for line in headline(decision))
    below = "\n\n".join(markdown_safe(line) for line in _below(decision, 0))
    return f"# What to deploy on {markdown_safe(decision.device)}\n\n{told}\n\n{table}\n\n{below}\n"


def as_json(decision: Decision) -> str:
    """The whole decision, and the chosen candidate's row on its own; null if nothing fits."""
    told = {name: value for name, value in vars(decision).items() if name != "power_modelled"}
    told |= {"machine": joined(decision.machine), "power_scope": scope(decision)}
    told["floor_accuracy"] = decision.floor_accuracy
    for name in ("candidates", "aside"):
        told[name] = [vars(each) | {"row": record(each.row)} for each in told[name]]
    chosen = record(decision.chosen.row) if decision.chosen else None
    return jsonio.dumps({"chosen": chosen, "decision": told}) + "\n"


WRITERS: dict[str, Callable[[Decision], str]] = {"markdown": markdown, "json": as_json}
