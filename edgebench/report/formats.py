"""Rows as a terminal table, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from edgebench.records import jsonio
from edgebench.results.rows import Row

if TYPE_CHECKING:
    from rich.table import Table

MISSING = "–"
MOST = 60  # rows in a terminal: thousands would be read by nobody, and take a minute to draw
# Nothing in such a cell has to be changed for Markdown.
PLAIN = re.compile(r"[A-Za-z0-9.,%+–±-]*(?: [A-Za-z0-9.,%+–±-]+)*")


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


def _share(places: int) -> Callable[[Any], str]:
    return lambda share: MISSING if share is None else f"{share:.{places}%}"


def _text(value: object) -> str:
    return MISSING if value in (None, "") else str(value)


# heading → (field, how to show it); what a person reads. CSV and JSON carry every field, unrounded.
COLUMNS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "model": ("model", _text),
    "params M": ("parameters_m", _number(3)),
    "GMACs": ("gmacs", _number(3)),
    "GFLOPs": ("gflops", _number(3)),
    "test acc.": ("test_accuracy", _share(1)),
    "deployed acc.": ("deployed_accuracy", _share(1)),
    "scenario": ("scenario", _text),
    "median ms": ("median_ms", _number(3)),
    "±": ("half_width", _share(1)),
    "p90 ms": ("p90_ms", _number(3)),
    "p99 ms": ("p99_ms", _number(3)),
    "device ms": ("device_median_ms", _number(3)),
    "images/s": ("throughput_per_s", _number(3)),
    "missed": ("miss_rate", _share(2)),
    "jitter ms": ("jitter_ms", _number(2)),
    "verdict": ("verdict", _text),
    "model MiB": ("model_size_mib", _number(3)),
    "peak MiB": ("peak_memory_mib", _number(3)),
    "GPU MiB": ("gpu_memory_mib", _number(3)),
    "W": ("mean_power_w", _number(3)),
    "mJ/inf.": ("energy_mj", _number(3)),
    "power by": ("power_by", _text),
    "format": ("format", _text),
    "runtime": ("runtime", _text),
    "precision": ("precision", _text),
    "layers in": ("layers", _text),
    "thr.": ("threads", _text),
    "batch": ("batch", _text),
    "in flight": ("streams", _text),
    "device": ("device", _text),
    "board": ("host", _text),
    "power mode": ("power_mode", _text),
    "compute": ("compute", _text),
    "evidence": ("evidence", _text),
    "status": ("status", _text),
    "stopped": ("stop", _text),
    "warnings": ("warnings", _text),
}
# Left out of a table in which no row has them.
OPTIONAL = {
    "deployed acc.", "model MiB", "layers in", "±", "device ms", "missed", "jitter ms", "verdict", "GPU MiB",
    "W", "mJ/inf.", "power by", "board", "power mode", "warnings",
}  # fmt: skip
# Said once, under the terminal's table, where all rows say the same.
TOLD_ONCE = {
    "params M", "GMACs", "GFLOPs", "test acc.", "scenario", "precision", "layers in", "thr.", "batch", "in flight",
    "power by", "device", "board", "power mode", "compute", "evidence", "status", "stopped",
}  # fmt: skip
NOTE = (
    "GFLOPs = 2 × GMACs, for one image. Test accuracy is the checkpoint's in torch, on its test split, and each "
    "artifact's answers agree with it on some of that; deployed accuracy is the artifact's own, on its runtime. "
    "Latency is host time of one request, device ms the computing alone by the runtime's account; ± is half the "
    "95 % interval of the median over launches; images/s is what went through at that. W and mJ/inf. (per "
    "request) are all that the meter covers, idle power included. – was not measured."
)


def _shown(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The headings and the cells of a table without the optional columns that would be empty."""
    kept = {
        heading: column
        for heading, column in COLUMNS.items()
        if heading not in OPTIONAL or any(getattr(row, column[0]) not in (None, "") for row in rows)
    }
    return list(kept), [[show(getattr(row, name)) for name, show in kept.values()] for row in rows]


def _failures(rows: Sequence[Row]) -> list[str]:
    """What failed, and what LoadGen calls INVALID, with the reason."""
    return [
        f"{row.verdict or row.status}: {row.model} ({row.format}) on {row.runtime}: {row.message}"
        for row in rows
        if row.status != "ok" or row.verdict == "INVALID"
    ]


def terminal(rows: Sequence[Row]) -> Table:
    """A rich table for a terminal; columns that say the same in every row go into its caption, to save width.

    Of more than MOST rows the first, which says so.
    """
    from rich.markup import escape
    from rich.table import Table

    left_out, rows = len(rows[MOST:]), rows[:MOST]
    headings, cells = _shown(rows)
    common = {i for i, heading in enumerate(headings) if heading in TOLD_ONCE and len({line[i] for line in cells}) == 1}
    lines = [", ".join(f"{headings[i]} {cells[0][i]}" for i in sorted(common)), *_failures(rows)]
    if left_out:
        lines.insert(
            0, f"… and {left_out} rows more: choose with --model and --device, or write all with --out FILE.md"
        )
    caption = escape(printable("\n".join(line for line in lines if line)))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    for i, heading in enumerate(headings):
        if i not in common:
            figures = any(line[i][:1].isdigit() for line in cells)
            table.add_column(heading, justify="right" if figures else "left", overflow="fold")  # nothing is cut off
    for line in cells:
        table.add_row(*(escape(printable(cell)) for i, cell in enumerate(line) if i not in common))
    return table


def printable(text: str) -> str:
    """Names come from outside: none may move the cursor or set the terminal's title."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def markdown(rows: Sequence[Row]) -> str:
    """A Markdown table with all columns, then what failed and why."""
    headings, cells = _shown(rows)
    lines = [headings, ["---"] * len(headings), *([markdown_safe(cell) for cell in line] for line in cells)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    failures = "".join(f"\n- {markdown_safe(line)}" for line in _failures(rows))
    return f"{text}\n\n{NOTE}\n{failures}".rstrip() + "\n"


def markdown_safe(cell: str) -> str:
    """Names come from outside: no cell may break the table, smuggle in HTML or a link, or move a cursor."""
    if PLAIN.fullmatch(cell):
        return cell
    cell = printable(" ".join(cell.split()))
    for character in "\\`*_[]|":
        cell = cell.replace(character, "\\" + character)
    return cell.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_csv(rows: Sequence[Any], kind: type = Row) -> str:
    """All fields of dataclasses of a kind, unrounded; an empty field is what was not measured."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _csv_safe(value) for name, value in vars(row).items()})
    return out.getvalue()


def _csv_safe(value: Any) -> Any:
    """Text that a spreadsheet takes for no formula and, since csv does not quote a lone \\r, for no new row."""
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{value}" if value.startswith(tuple("=+-@\t\n")) else value


def as_json(rows: Sequence[Row]) -> str:
    """A list of objects, one a line."""
    return "[" + ",\n".join(jsonio.dumps(row) for row in rows) + "]\n"


WRITERS: dict[str, Callable[[Sequence[Row]], str]] = {"markdown": markdown, "csv": as_csv, "json": as_json}
