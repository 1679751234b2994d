"""A comparison as a terminal table, Markdown, JSON or JUnit XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from edgebench.comparing.history import NEEDED
from edgebench.comparing.judging import ComparedCell, Comparison
from edgebench.records import jsonio
from edgebench.records.terminal import printable
from edgebench.report.formats import MISSING, markdown_safe

if TYPE_CHECKING:
    from rich.table import Table

NOTE = (
    "new ÷ base of the medians, above 1 is slower, with its 95 % interval; for the scenario throughput, times are per "
    "image. Launches that other load disturbed are left out."
)
STYLES = {"slower": "bold red", "failed": "bold red", "faster": "green", "inconclusive": "yellow", "refused": "yellow"}


def _ms(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.3f}"


def _ratio(cell: ComparedCell) -> str:
    if cell.ratio is None:
        return MISSING
    return f"{cell.ratio:.3f}" if cell.low is None else f"{cell.ratio:.3f} ({cell.low:.3f}–{cell.high:.3f})"


def _energy(cell: ComparedCell) -> str:
    """mJ per image of both sides and their ratio; figures of different kinds are not shown together."""
    if cell.energy is None:
        return MISSING
    if cell.energy.ratio is None and None not in (cell.energy.base_mj, cell.energy.new_mj):
        return "refused"
    base, new = (MISSING if mj is None else f"{mj:.4g}" for mj in (cell.energy.base_mj, cell.energy.new_mj))
    return f"{base} → {new}" + ("" if cell.energy.ratio is None else f" ({cell.energy.ratio:.3f})")


COLUMNS: dict[str, Callable[[ComparedCell], str]] = {
    "cell": lambda cell: cell.name,
    "base ms": lambda cell: _ms(cell.base_ms),
    "new ms": lambda cell: _ms(cell.new_ms),
    "new ÷ base (95 %)": _ratio,
    "mJ/image": _energy,
    "launches": lambda cell: " + ".join(map(str, cell.launches)) or MISSING,
    "verdict": lambda cell: cell.outcome,
}


def summary(comparison: Comparison) -> str:
    """How many cells of each outcome."""
    counts = Counter(cell.outcome for cell in comparison.cells)
    return ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common())


def _why(cell: ComparedCell) -> str:
    return f"{cell.reason} ({cell.remedy})" if cell.remedy else cell.reason


def _remarks(comparison: Comparison) -> list[str]:
    """Why a cell has no plain verdict, and what changed. A change that all cells share is told once."""
    common = Counter(change for cell in comparison.cells for change in cell.changed)
    judged = sum(bool(cell.launches) for cell in comparison.cells)
    shared = {change for change, n in common.items() if n == judged > 1}
    lines = [f"changed: {change}" for change in common if change in shared]
    for cell in comparison.cells:
        own = [change for change in cell.changed if change not in shared]
        lines += [f"{cell.name}: {cell.outcome}: {_why(cell)}"] if cell.reason else []
        lines += [f"{cell.name}: changed: {'; '.join(own)}"] if own else []
        lines += [f"{cell.name}: its history: {cell.history.reason}"] if cell.history and cell.history.reason else []
        lines += [f"{cell.name}: {cell.energy.reason}"] if cell.energy and cell.energy.reason else []
    few = sum(cell.history is not None and cell.history.outcome == "too few" for cell in comparison.cells)
    lines += [f"history: {few} of the cells have fewer than the {NEEDED} results that it takes"] if few else []
    kinds = Counter(cell.energy.of for cell in comparison.cells if cell.energy and cell.energy.of)
    return [*lines, *(f"mJ/image: {of}; one power pass per side, so there is no verdict" for of in kinds)]


def _headings(comparison: Comparison) -> list[str]:
    """The headings, without energy if no cell has any."""
    return [h for h in COLUMNS if h != "mJ/image" or any(cell.energy for cell in comparison.cells)]


def terminal(comparison: Comparison) -> Table:
    """A rich table for a terminal, with the reasons below."""
    from rich.markup import escape
    from rich.table import Table

    # told once if all are equal: a terminal has only eighty columns
    launches = {COLUMNS["launches"](cell) for cell in comparison.cells if cell.launches}
    headings = [heading for heading in _headings(comparison) if heading != "launches" or len(launches) > 1]
    lines = [
        summary(comparison),
        *(f"launches: {n}" for n in launches if len(launches) == 1),
        *_remarks(comparison),
        f"{NOTE} Noise band ± {comparison.band:.1%}.",
    ]
    caption = escape("\n".join(printable(line) for line in lines))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("cell", "verdict") else "right", overflow="fold")
    for cell in comparison.cells:
        shown = [escape(printable(COLUMNS[heading](cell))) for heading in headings]
        style = STYLES.get(cell.outcome, "")
        table.add_row(*shown[:-1], f"[{style}]{shown[-1]}[/]" if style else shown[-1])
    return table


def markdown(comparison: Comparison, fail_on: Sequence[str] = ()) -> str:
    """A Markdown table, for a pull request or a summary of CI."""
    headings = _headings(comparison)
    rows = [[markdown_safe(printable(COLUMNS[heading](cell))) for heading in headings] for cell in comparison.cells]
    lines = [headings, ["---"] * len(headings), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    remarks = "".join(f"- {markdown_safe(printable(line))}\n" for line in _remarks(comparison))
    return f"{summary(comparison)}\n\n{table}\n\n{remarks}\n{NOTE} Noise band ± {comparison.band:.1%}.\n"


def as_json(comparison: Comparison, fail_on: Sequence[str] = ()) -> str:
    return jsonio.dumps(comparison, indent=1) + "\n"


def junit(comparison: Comparison, fail_on: Sequence[str] = ()) -> str:
    """JUnit XML: one test case per cell. What `--fail-on` names is a failure; every other cell without a verdict is
    skipped."""
    failing = {id(cell) for cell in comparison.failing(fail_on)}
    verdicts = {"faster", "slower", "equivalent", "failed"}
    skipped = [cell for cell in comparison.cells if id(cell) not in failing and cell.outcome not in verdicts]
    counts = {"tests": len(comparison.cells), "failures": len(failing), "errors": 0, "skipped": len(skipped)}
    attributes = {name: str(count) for name, count in counts.items()}
    root = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(root, "testsuite", name="edgebench compare", **attributes)
    for cell in comparison.cells:
        case = ElementTree.SubElement(suite, "testcase", classname="edgebench.compare", name=printable(cell.name))
        figures = f"new ÷ base (95 %) {_ratio(cell)}"
        message = printable(": ".join(text for text in (cell.outcome, _why(cell)) if text))
        if id(cell) in failing:
            failure = ElementTree.SubElement(case, "failure", type=cell.outcome, message=f"{message}; {figures}")
            failure.text = printable("\n".join([message, figures, *cell.changed]))
        elif cell in skipped:
            ElementTree.SubElement(case, "skipped", message=message)
        ElementTree.SubElement(case, "system-out").text = printable("\n".join([message, figures, *cell.changed]))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


WRITERS: dict[str, Callable[[Comparison, Sequence[str]], str]] = {
    "markdown": markdown, "json": as_json, "junit": junit,
}  # fmt: skip
