"""A row's values as they are written: plain values for CSV, JSON and pandas, and cells of tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebench.results.columns import Column, significant
from edgebench.results.figures import COLUMNS, Row, power_scope

if TYPE_CHECKING:
    from edgebench.choosing.decision import Decision

MISSING = "–"
WRITTEN = tuple(column for column in COLUMNS.values() if column.written)
LISTS = {field.name for field in dataclasses.fields(Row) if field.type.startswith("tuple")}
# Most columns of thousands of rows are taken as they are.
OTHERWISE = [column for column in WRITTEN if column.plain or column.name in LISTS]


def record(row: Row) -> dict[str, Any]:
    """The columns of a row by name, as CSV, JSON and pandas give them: figures unrounded, lists as text."""
    fields = vars(row)
    made = {column.name: fields[column.name] for column in WRITTEN}
    for column in OTHERWISE:
        made[column.name] = joined(column.plain(row) if column.plain else fields[column.name])
    return made


def values(column: Column, rows: Sequence[Row]) -> list[Any]:
    """The value of a column in a table, not yet rounded."""
    if made := column.cell or column.plain:
        return [joined(made(row)) for row in rows]
    found = [getattr(row, column.name) for row in rows]
    return [joined(value) for value in found] if column.name in LISTS else found


def cells(column: Column, rows: Sequence[Row]) -> list[str]:
    """The text of a column in a table."""
    return [text(column, value) for value in values(column, rows)]


def text(column: Column, value: Any) -> str:
    """A value of a column, rounded as the column says; a dash for what was not measured."""
    if value is None or value == "":
        return MISSING
    if column.percent is not None:
        return f"{value:.{column.percent}%}"
    return str(value) if column.digits is None else significant(value, column.digits)


def scope(of: Row | Decision) -> str:
    """What its power figures cover: "module", "system, modelled"; empty if it has none."""
    return joined(power_scope(of))


def joined(value: Any) -> Any:
    """A list as text: names, or names with their shares."""
    if not isinstance(value, tuple):
        return value
    return ", ".join(item if isinstance(item, str) else f"{item[0]} {item[1]:.0%}" for item in value)
