"""From results to the rows of a table: the newest result of each distinct measurement, best evidence first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from edgebench.records.workspace import now
from edgebench.results.figures import COLUMNS, Row
from edgebench.results.naming import names

if TYPE_CHECKING:
    from edgebench.records.result import Result

SHARED = tuple(column.name for column in COLUMNS.values() if column.shared)
_shared, _created = attrgetter(*SHARED), attrgetter("row.created")


class Entry(NamedTuple):
    """What tables need of one result. `cell` is equal for repetitions of one measurement, `deployed` for those that
    share an accuracy. Only the row of an evaluation has that accuracy, and is not `timed`."""

    row: Row
    cell: str
    deployed: str
    timed: bool


def rows(found: Sequence[Result]) -> list[Row]:
    """A row for each distinct measurement: see `merged`."""
    return merged([entry(result) for result in found])


def entry(result: Result) -> Entry:
    """The part of a result that tables need."""
    from edgebench.machine.scenario_registry import find
    from edgebench.records import digests
    from edgebench.results.same import measurement

    return Entry(
        row=of_columns({name: column.read(result) for name, column in COLUMNS.items()}),
        cell=digests.of_data(measurement(result, "repetition"))[:32],
        deployed=digests.of_data(measurement(result, "answers"))[:32],
        timed=find(result.job.scenario).timed,
    )


def merged(entries: Sequence[Entry]) -> list[Row]:
    """A row for each distinct measurement; the newest result stands for its repetitions.

    An evaluation is not a row of its own: the rows of the same artifact on the same runtime take its accuracy. An
    adopted model that was judged by several test splits has a row for each. Ordered by evidence first, so that emulated
    figures never stand among measured ones, then by test images, model and latency.
    """
    newest: dict[tuple[str, ...], Entry] = {}
    ordered = sorted(entries, key=_created)
    # What is dated later than now had a wrong clock: it counts as the oldest, so that it does not hide all others.
    ahead = bisect_right(ordered, now(), key=_created)
    ordered = ordered[ahead:] + ordered[:ahead]
    # By what shares an accuracy, the columns of the newest evaluation on each test split.
    judged: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for entry in ordered:
        if entry.row.deployed_accuracy is not None:
            shared = dict(zip(SHARED, _shared(entry.row), strict=True))
            judged.setdefault(entry.deployed, {})[entry.row.dataset, entry.row.test_sha256] = shared
    scored = {entry.deployed: entry.row.score for entry in ordered if entry.row.score}
    # A result that was cut short counts only if there is no complete one.
    for entry in sorted(ordered, key=lambda entry: entry.row.stop != "interrupted"):
        if not entry.timed:
            continue
        if entry.row.status != "ok":  # a later failure does not hide a figure: it has a row of its own
            newest["failed", entry.cell] = entry
            continue
        newest.pop(("failed", entry.cell), None)  # it supersedes an earlier failure
        newest["ok", entry.cell, entry.row.machine, entry.row.power_mode] = entry
    made = [
        _with_accuracy(entry.row, accuracy, scored.get(entry.deployed, ""))
        for entry in newest.values()
        for accuracy in judged.get(entry.deployed, {"": {}}).values()
    ]
    return sorted(
        told_apart(made),
        key=lambda r: (
            r.evidence != "measured", r.evidence, r.device, r.dataset, r.test_sha256, r.name,
            r.race_median_ms or r.median_ms or float("inf"),
        ),
    )  # fmt: skip


def told_apart(rows: Sequence[Row]) -> list[Row]:
    """The rows with names that tell networks of one model apart."""
    return [
        row if name == row.model else _changed(row, {"called": name})
        for row, name in zip(rows, names(rows), strict=True)
    ]


def _with_accuracy(row: Row, judged: dict[str, Any], score: str) -> Row:
    return _changed(row, judged | {"score": score}) if judged or score else row


def _changed(row: Row, fields: dict[str, Any]) -> Row:
    return of_columns(vars(row) | fields)


def of_columns(values: dict[str, Any]) -> Row:
    """A row of these columns, as made by the constructor, which takes a third of a second for ten thousand."""
    made = object.__new__(Row)
    object.__setattr__(made, "__dict__", values)
    return made
