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
WORD = 24  # characters of a longer word go on in the next line
# What a terminal shows if it is too narrow for all: these columns first, then the others in the table's order.
FIRST = (
    "model", "median_ms", "to_fastest", "evidence", "runtime", "status", "deployed_accuracy", "test_accuracy",
    "precision", "judged", "format", "scenario", "verdict", "score", "throughput_per_s", "batch", "streams", "device",
    "energy_mj", "mean_power_w", "power_source", "p99_ms", "p90_ms", "half_width", "warnings", "peak_memory_mib",
)  # fmt: skip
# Markdown needs no escaping in such a cell.
PLAIN = re.compile(r"[A-Za-z0-9.,%+–±-]*(?: [A-Za-z0-9.,%+–±-]+)*")


NOTE = (
    "GFLOPs = 2 × GMACs, for one image. Test accuracy is the checkpoint's in torch, on its test split; each artifact's "
    "answers were compared with it on a part of that. Deployed accuracy is the artifact's own, on its runtime, and "
    "balanced accuracy the mean recall of its classes; accuracies on different test splits do not compare. "
    "Judged: what a lower precision loses on validation pictures against torch, with a confidence of 97.5 %. Latency "
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
    """What failed or is not to be trusted, such as a run that LoadGen calls INVALID. All of one reason share a line."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if row.status != "ok" or row.message:
            from edgebench.records.result import titled

            title = titled(row.name, row.format, row.precision, row.runtime)
            found.setdefault((row.verdict or row.status, row.message), {})[title] = None
    return [f"{what}: {'; '.join(titles)}: {message}" for (what, message), titles in found.items()]


def _accuracies(rows: Sequence[Row]) -> list[str]:
    """Which pictures the accuracies of adopted models are of, and a warning if accuracies do not compare."""
    told = list(dict.fromkeys(line for row in rows if (line := judged_by(row))))
    found = context.grouped([r for r in rows if not r.adopted or r.deployed_accuracy is not None], split_of)
    names = ", ".join(split.told for split in found)
    several = f"accuracies are of {len(found)} test splits, and do not compare: {names}"
    return [*told, *([several] if len(found) > 1 else [])]


def terminal(rows: Sequence[Row], width: int) -> Table:
    """A rich table for a terminal of that width. Columns with the same value in every row go into its caption.

    So do the names of the columns for which it is too narrow. Of more than MOST rows only the first are shown, and a
    line says so.
    """
    from rich.markup import escape
    from rich.table import Table

    left_out, rows = len(rows[MOST:]), rows[:MOST]
    columns, told = _shown(rows)
    headings = [column.heading for column in columns]
    common = {i for i, column in enumerate(columns) if column.once and len({line[i] for line in told}) == 1}
    apart = [i for i in range(len(columns)) if i not in common]
    widths = fitting({columns[i].name: [headings[i], *(line[i] for line in told)] for i in apart}, width)
    hidden = [headings[i] for i in apart if columns[i].name not in widths]
    lines = [", ".join(f"{headings[i]} {told[0][i]}" for i in sorted(common))]
    lines += _origins(rows) if "adopted" in hidden else []
    lines += [*_accuracies(rows), *_failures(rows)]
    if hidden:
        lines.insert(0, f"too narrow for: {', '.join(hidden)}; edgebench report --out FILE.md has them")
    if left_out:
        lines.insert(
            0, f"… and {left_out} more rows: choose with --model and --device, or write all with --out FILE.md"
        )
    caption = escape(printable("\n".join(line for line in lines if line)))
    table = Table(caption=caption, caption_justify="left", header_style="bold", pad_edge=False)
    kept = [i for i in apart if columns[i].name in widths]
    for i in kept:
        justify = "right" if all(line[i][:1].isdigit() or line[i] == MISSING for line in told) else "left"
        table.add_column(headings[i], justify=justify, overflow="fold", width=widths[columns[i].name])
    for line in told:
        table.add_row(*(escape(printable(line[i])) for i in kept))
    return table


def fitting(
    columns: dict[str, list[str]], width: int, first: Sequence[str] = FIRST, sentences: str = ""
) -> dict[str, int]:  # fmt: skip
    """How wide each column is that has a place: those that are `first`, then what fits, without parting words. The
    column of `sentences` gets more only if the others are whole."""
    from rich.cells import cell_len

    whole = {name: max(map(cell_len, cells)) for name, cells in columns.items()}
    least = {
        name: min(WORD, max((cell_len(word) for cell in cells for word in cell.split()), default=1))
        for name, cells in columns.items()
    }
    rank = {name: i for i, name in enumerate(first)}
    room, made = width + 1, {}  # a line and two spaces for each column, but two less at the edges and a line more
    for name in sorted(columns, key=lambda name: rank.get(name, len(rank))):
        if least[name] + 3 <= room or not made:
            made[name] = least[name]
            room -= least[name] + 3
    for name in sorted(made, key=lambda name: name == sentences):  # what is left over, to the most important one first
        more = max(0, min(whole[name] - made[name], room))
        made[name] += more
        room -= more
    return made


def _origins(rows: Sequence[Row]) -> list[str]:
    """Where the inputs of adopted models come from, and whose answers count, for all models of which it is the same."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.adopted:
            found.setdefault(row.adopted, []).append(row.model)
    return [f"{told}: {context.listed(list(dict.fromkeys(models)))}" for told, models in found.items()]


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
