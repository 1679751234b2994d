"""A history of measurements as a terminal table, Markdown or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgebench.comparing.history import NEEDED, CellHistory, Change, Histories
from edgebench.records import jsonio
from edgebench.records.terminal import printable
from edgebench.report.formats import MISSING, markdown_safe

if TYPE_CHECKING:
    from rich.table import Table

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24  # bars of a course; with more results, each bar is the median of several
NOTE = (
    "now ÷ lowest: the present level of the median against the lowest level that it had, with its 95 % interval; above "
    "1 is slower. The course shows the medians from the first result to the last."
)
STYLES = {"slower": "bold red", "inconclusive": "yellow"}


def course(cell: CellHistory) -> str:
    """The medians as bars, from the lowest to the highest."""
    medians = [point.median_ns for point in cell.points]
    size = -(-len(medians) // WIDTH)
    shown = [sorted(part)[len(part) // 2] for i in range(0, len(medians), size) if (part := medians[i : i + size])]
    low, high = min(shown), max(shown)
    # a difference below 2 % is noise, and must not look like a mountain
    span = max(high - low, 0.02 * low)
    return "".join(BARS[min(len(BARS) - 1, int((one - low) / span * len(BARS)))] for one in shown)


def _ratio(cell: CellHistory) -> str:
    if cell.ratio is None:
        return MISSING
    return f"{cell.ratio:.3f}" if cell.low is None else f"{cell.ratio:.3f} ({cell.low:.3f}–{cell.high:.3f})"


def _span(cell: CellHistory) -> str:
    return f"{cell.points[0].created[:10]} – {cell.points[-1].created[:10]}"


COLUMNS: dict[str, Callable[[CellHistory], str]] = {
    "cell": lambda cell: cell.name,
    "results": lambda cell: str(len(cell.points)),
    "days": _span,
    "course": course,
    "ms now": lambda cell: f"{cell.points[-1].median_ns / 1e6:,.3f}",
    "now ÷ lowest (95 %)": _ratio,
    "verdict": lambda cell: cell.outcome,
}


def change(one: Change) -> str:
    """A change in words: "2026-11-02: a step to 1.041 × (1.030–1.052); changed: library onnxruntime 1.20 → 1.21"."""
    size = f"{one.ratio:.3f} × ({one.low:.3f}–{one.high:.3f})"
    if one.kind == "step":
        said = f"{one.created[:16].replace('T', ' ')}: a step to {size}"
    else:
        said = f"{one.created[:10]} to {one.until[:10]}: it creeps to {size}"
        said += "" if one.per_week is None else f", {one.per_week:+.1%} a week"
    if one.machine is not None and abs(one.machine - 1) > 0.01:
        said += f"; the machine itself: {one.machine:.3f} ×"
    return said + (f"; changed: {'; '.join(one.differs)}" if one.differs else "")


def summary(made: Histories) -> str:
    """How many cells of each outcome."""
    return ", ".join(f"{n} {outcome}" for outcome, n in Counter(cell.outcome for cell in made.cells).most_common())


def _remarks(made: Histories) -> list[str]:
    lines = []
    for cell in made.cells:
        left_out = f"{cell.left_out} results left out, every launch of which was disturbed" if cell.left_out else ""
        lines += [f"{cell.name}: {line}" for line in (cell.reason, *map(change, cell.changes), left_out) if line]
    few = any(cell.outcome == "too few" for cell in made.cells)
    lines += [f"too few: a history takes {NEEDED} results of a measurement"] if few else []
    return [*lines, f"{NOTE} A rise within {made.band:.1%} is steady."]


def terminal(made: Histories) -> Table:
    """A rich table for a terminal, with the changes below."""
    from rich.markup import escape
    from rich.table import Table

    caption = escape("\n".join(printable(line) for line in [summary(made), *_remarks(made)]))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    for heading in COLUMNS:
        table.add_column(heading, justify="right" if heading in ("results", "ms now") else "left", overflow="fold")
    for cell in made.cells:
        shown = [escape(printable(told(cell))) for told in COLUMNS.values()]
        style = STYLES.get(cell.outcome, "")
        table.add_row(*shown[:-1], f"[{style}]{shown[-1]}[/]" if style else shown[-1])
    return table


def markdown(made: Histories) -> str:
    """A Markdown table, for a pull request or a summary of CI."""
    rows = [[markdown_safe(printable(told(cell))) for told in COLUMNS.values()] for cell in made.cells]
    table = "\n".join("| " + " | ".join(line) + " |" for line in [list(COLUMNS), ["---"] * len(COLUMNS), *rows])
    remarks = "".join(f"- {markdown_safe(printable(line))}\n" for line in _remarks(made))
    return f"{summary(made)}\n\n{table}\n\n{remarks}"


def as_json(made: Histories) -> str:
    return jsonio.dumps(made, indent=1) + "\n"


WRITERS: dict[str, Callable[[Histories], str]] = {"markdown": markdown, "json": as_json}
