"""Rows as a terminal table, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from edgebench import jsonio
from edgebench.report.rows import Row

if TYPE_CHECKING:
    from rich.table import Table

MISSING = "–"


def _number(digits: int) -> Callable[[Any], str]:
    """Format to this many significant digits without an exponent."""

    def show(value: float | None) -> str:
        if value is None:
            return MISSING
        if value == 0:
            return "0"
        import math

        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{min(places, 6)}f}"

    return show


def _text(value: object) -> str:
    return MISSING if value in (None, "") else str(value)


# heading → (field, how to show it); what a person reads. CSV and JSON carry every field, unrounded.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "model": ("model", _text),
    "params M": ("parameters_m", _number(3)),
    "GMACs": ("gmacs", _number(3)),
    "GFLOPs": ("gflops", _number(3)),
    "test acc.": ("test_accuracy", lambda share: f"{share:.1%}"),
    "median ms": ("median_ms", _number(3)),
    "p90 ms": ("p90_ms", _number(3)),
    "p99 ms": ("p99_ms", _number(3)),
    "images/s": ("throughput_per_s", _number(3)),
    "peak MiB": ("peak_memory_mib", _number(3)),
    "format": ("format", _text),
    "runtime": ("runtime", _text),
    "precision": ("precision", _text),
    "thr.": ("threads", _text),
    "batch": ("batch", _text),
    "device": ("device", _text),
    "compute": ("compute", _text),
    "evidence": ("evidence", _text),
    "status": ("status", _text),
}
NOTE = (
    "GFLOPs = 2 × GMACs, for one image. Accuracy is the checkpoint's, on its test split; each artifact's answers agree "
    "with it. Latency is host time of one request; images/s is what went through at that. – was not measured."
)


def _cells(row: Row) -> list[str]:
    return [show(getattr(row, name)) for name, show in COLUMNS.values()]


def _failures(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.status}: {row.model} ({row.format}) on {row.runtime}: {row.message}"
        for row in rows
        if row.status != "ok"
    ]


def terminal(rows: Sequence[Row]) -> Table:
    """A rich table for a terminal; columns that say the same in every row go into its caption, to save width."""
    from rich.markup import escape
    from rich.table import Table

    cells = [_cells(row) for row in rows]
    headings = list(COLUMNS)
    told_once = {
        "params M",
        "GMACs",
        "GFLOPs",
        "test acc.",
        "precision",
        "thr.",
        "batch",
        "device",
        "compute",
        "evidence",
        "status",
    }
    common = {i for i, heading in enumerate(headings) if heading in told_once and len({line[i] for line in cells}) == 1}
    lines = [", ".join(f"{headings[i]} {cells[0][i]}" for i in sorted(common)), *_failures(rows)]
    caption = escape(_printable("\n".join(line for line in lines if line)))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    for i, heading in enumerate(headings):
        if i not in common:
            figures = any(line[i][:1].isdigit() for line in cells)
            table.add_column(heading, justify="right" if figures else "left", overflow="fold")  # nothing is cut off
    for line in cells:
        table.add_row(*(escape(_printable(cell)) for i, cell in enumerate(line) if i not in common))
    return table


def _printable(text: str) -> str:
    """Names come from outside: none may move the cursor or set the terminal's title."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def markdown(rows: Sequence[Row]) -> str:
    """A Markdown table with all columns, then what failed and why."""
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *([_markdown_safe(cell) for cell in _cells(row)] for row in rows)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    failures = "".join(f"\n- {_markdown_safe(line)}" for line in _failures(rows))
    return f"{text}\n\n{NOTE}\n{failures}".rstrip() + "\n"


def _markdown_safe(cell: str) -> str:
    """Names come from outside: no cell may break the table or smuggle in HTML or a link."""
    for character in "\\`*_[]|":
        cell = cell.replace(character, "\\" + character)
    return " ".join(cell.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def as_csv(rows: Sequence[Row]) -> str:
    """All fields, unrounded; an empty field is what was not measured."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _csv_safe(value) for name, value in asdict(row).items()})
    return out.getvalue()


def _csv_safe(value: Any) -> Any:
    """Text that a spreadsheet takes for no formula and, since csv does not quote a lone \\r, for no new row."""
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{value}" if value.startswith(tuple("=+-@\t\n")) else value


def as_json(rows: Sequence[Row]) -> str:
    return jsonio.dumps(list(rows), indent=1) + "\n"


WRITERS: dict[str, Callable[[Sequence[Row]], str]] = {"markdown": markdown, "csv": as_csv, "json": as_json}
