"""Rows as a terminal table, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgebench.records import jsonio
from edgebench.records.terminal import printable
from edgebench.report.written import MISSING, WRITTEN, cells, record
from edgebench.results import context
from edgebench.results.columns import Column
from edgebench.results.figures import TABLE, Row, judged_by, split_of

if TYPE_CHECKING:
    from rich.table import Table

MOST = 60  # rows in a terminal: nobody would read thousands, and drawing them takes a minute
# Markdown needs no escaping in such a cell.
PLAIN = re.compile(r"[A-Za-z0-9.,%+–±-]*(?: [A-Za-z0-9.,%+–±-]+)*")


NOTE = (
    "GFLOPs = 2 × GMACs, for one image. Test accuracy is the checkpoint's in torch, on its test split; each artifact's "
    "answers were compared with it on a part of that. Deployed accuracy is the artifact's own, on its runtime, and "
    "balanced accuracy the mean recall of its classes; accuracies on different test splits do not compare. Latency "
    "is the host time of one request, device ms the computing alone as the runtime reports it; ± is half the 95 % "
    "interval of the median over launches; images/s is the throughput of the same measurement. W and mJ/inf. (per "
    "request) are everything that the meter covers, idle power included. – means not measured."
)


def _shown(rows: Sequence[Row]) -> tuple[list[Column], list[list[str]]]:
    """The columns and cells of a table, without optional columns that would be empty."""
    found = {column: cells(column, rows) for column in TABLE}
    kept = {column: told for column, told in found.items() if not column.optional or set(told) - {MISSING}}
    return list(kept), [list(line) for line in zip(*kept.values(), strict=True)]


def _failures(rows: Sequence[Row]) -> list[str]:
    """What failed or is not to be trusted, such as a run that LoadGen calls INVALID, with the reason."""
    return [
        f"{row.verdict or row.status}: {row.model} ({row.format}) on {row.runtime}: {row.message}"
        for row in rows
        if row.status != "ok" or row.message
    ]


def _accuracies(rows: Sequence[Row]) -> list[str]:
    """Which pictures the accuracies of adopted models are of, and a warning if accuracies do not compare."""
    told = list(dict.fromkeys(line for row in rows if (line := judged_by(row))))
    found = context.grouped([r for r in rows if not r.adopted or r.deployed_accuracy is not None], split_of)
    names = ", ".join(split.told for split in found)
    several = f"accuracies are of {len(found)} test splits, and do not compare: {names}"
    return [*told, *([several] if len(found) > 1 else [])]


def terminal(rows: Sequence[Row]) -> Table:
    """A rich table for a terminal. To save width, columns with the same value in every row go into its caption.

    Of more than MOST rows only the first are shown, and a line says so.
    """
    from rich.markup import escape
    from rich.table import Table

    left_out, rows = len(rows[MOST:]), rows[:MOST]
    columns, told = _shown(rows)
    headings = [column.heading for column in columns]
    common = {i for i, column in enumerate(columns) if column.once and len({line[i] for line in told}) == 1}
    lines = [", ".join(f"{headings[i]} {told[0][i]}" for i in sorted(common)), *_accuracies(rows), *_failures(rows)]
    if left_out:
        lines.insert(
            0, f"… and {left_out} more rows: choose with --model and --device, or write all with --out FILE.md"
        )
    caption = escape(printable("\n".join(line for line in lines if line)))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    for i, heading in enumerate(headings):
        if i not in common:
            figures = any(line[i][:1].isdigit() for line in told)
            table.add_column(heading, justify="right" if figures else "left", overflow="fold")  # nothing is cut off
    for line in told:
        table.add_row(*(escape(printable(cell)) for i, cell in enumerate(line) if i not in common))
    return table


def markdown(rows: Sequence[Row]) -> str:
    """A Markdown table with all columns, then what failed and why."""
    columns, told = _shown(rows)
    headings = [column.heading for column in columns]
    lines = [headings, ["---"] * len(headings), *([markdown_safe(cell) for cell in line] for line in told)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    failures = "".join(f"\n- {markdown_safe(line)}" for line in (*_accuracies(rows), *_failures(rows)))
    return f"{text}\n\n{NOTE}\n{failures}".rstrip() + "\n"


def markdown_safe(cell: str) -> str:
    """Names come from outside: a cell must not break the table, smuggle in HTML or a link, or move the cursor."""
    if PLAIN.fullmatch(cell):
        return cell
    cell = printable(" ".join(cell.split()))
    for character in "\\`*_[]|":
        cell = cell.replace(character, "\\" + character)
    return cell.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_csv(rows: Sequence[Row]) -> str:
    """All columns, unrounded; an empty field was not measured."""
    return csv_of((record(row) for row in rows), [column.name for column in WRITTEN])


def csv_of(records: Iterable[dict[str, Any]], names: Sequence[str]) -> str:
    """One line per record, under these names."""
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for each in records:
        writer.writerow({name: _csv_safe(value) for name, value in each.items()})
    return out.getvalue()


def _csv_safe(value: Any) -> Any:
    """Text that a spreadsheet does not take for a formula or, since csv does not quote a lone \\r, for a new row."""
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{value}" if value.startswith(tuple("=+-@\t\n")) else value


def as_json(rows: Sequence[Row]) -> str:
    """A list of objects, one per line."""
    return "[" + ",\n".join(jsonio.dumps(record(row)) for row in rows) + "]\n"


WRITERS: dict[str, Callable[[Sequence[Row]], str]] = {"markdown": markdown, "csv": as_csv, "json": as_json}
