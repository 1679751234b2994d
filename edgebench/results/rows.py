"""From results to the rows of a table: the newest result of each distinct measurement, best known first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.machine.scenario_registry import find
from edgebench.records import digests
from edgebench.records.result import Result
from edgebench.results.figures import COLUMNS, Row
from edgebench.results.same import Closeness, measurement

SHARED = tuple(column.name for column in COLUMNS.values() if column.shared)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What tables need of one result, by itself. `cell` is alike in repetitions of one measurement, `deployed` in what
    shares an accuracy; an evaluation's row has that accuracy, no other entry's has one."""

    row: Row
    cell: str
    deployed: str


def rows(found: Sequence[Result]) -> list[Row]:
    """A row for each distinct measurement: see `merged`."""
    return merged([entry(result) for result in found])


def entry(result: Result) -> Entry:
    """A result as far as tables need it."""
    row = Row(**{name: column.read(result) for name, column in COLUMNS.items()})
    return Entry(row=row, cell=_key(result, "repetition"), deployed=_key(result, "answers"))


def merged(entries: Sequence[Entry]) -> list[Row]:
    """A row for each distinct measurement, the newest result standing for repetitions of it.

    An evaluation is no row of its own: its accuracy stands in the rows of the same artifact on the same runtime.
    Ordered by evidence first, so that emulated figures never stand among measured ones, then model and latency.
    """
    newest: dict[tuple[str, ...], Entry] = {}
    ordered = sorted(entries, key=lambda entry: entry.row.created)
    judged = {entry.deployed: entry.row for entry in ordered if entry.row.deployed_accuracy is not None}
    # What was cut short stands only where there is nothing whole.
    for entry in sorted(ordered, key=lambda entry: entry.row.stop != "interrupted"):
        if not find(entry.row.scenario).timed:
            continue
        if entry.row.status != "ok":  # a later failure hides no figure: it has its own row
            newest["failed", entry.cell] = entry
            continue
        newest.pop(("failed", entry.cell), None)  # mends what failed before it
        newest["ok", entry.cell, entry.row.machine, entry.row.power_mode] = entry
    made = [_with_accuracy(entry.row, judged.get(entry.deployed)) for entry in newest.values()]
    return sorted(
        made, key=lambda r: (r.evidence != "measured", r.evidence, r.device, r.model, r.median_ms or float("inf"))
    )


def _with_accuracy(row: Row, judged: Row | None) -> Row:
    if judged is None:
        return row
    made = object.__new__(Row)  # `dataclasses.replace` takes a third of a second for ten thousand
    vars(made).update(vars(row), **{name: getattr(judged, name) for name in SHARED})
    return made


def _key(result: Result, closeness: Closeness) -> str:
    return digests.of_data(measurement(result, closeness))[:32]
