"""The parts of the table of figures: a column, its criterion in a choice, its limit, and what is known of a value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgebench.results.races import Part, between

if TYPE_CHECKING:
    from edgebench.records.result import Result

Read = Callable[["Result"], Any]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of one figure of a row: a value and its 95 % interval, or None with the reason and the fix.

    `part`: of a time, the row's part in a race.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    fix: str = ""
    part: Part | None = None

    def overlaps(self, other: Known) -> bool:
        """Whether the two intervals overlap, so that neither value is known to be better. An exact value is its own
        interval. Two times of one race are known together: what counts is the interval of their ratio."""
        if self.part and other.part and (found := between(self.part, other.part)):
            return found[1] <= 1 <= found[2]
        low, high = self._interval()
        other_low, other_high = other._interval()
        return low <= other_high and other_low <= high

    def holds(self, bound: float) -> bool:
        """Whether the interval holds the bound, so that the true value may lie on either side of it."""
        return self.low is not None and self.low <= bound <= self.high

    def _interval(self) -> tuple[float, float]:
        return (self.value, self.value) if self.low is None else (self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit on a figure: `max_p99_ms` is the option `--max-p99-ms`.

    `unit` is the unit of the number, in words. `most`: the largest number that makes sense. `place`: limits are shown
    in this order, those of equal place in the order of the table.
    """

    name: str
    help: str
    unit: str
    place: int
    most: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """How a choice judges a figure. `title`: its name in prose; `unit`: the unit of its limit; `factor`: how many of
    these make one of the figure's own unit.

    `missing(row)` gives the reason and the fix if the figure is None. `unsure`: how far a figure without an interval
    may be off, as a share. `axis`: its name on an axis of the page; without it, the figure has no plot. `tip`: its name
    in the tip of a mark. `raced`: a race compares it. `place`: figures are checked and shown in this order, those of
    equal place in the order of the table.
    """

    name: str
    unit: str
    kind: Literal["speed", "cost", "accuracy"]
    better: Literal["less", "more"]
    missing: Callable[[Any], tuple[str, str]]
    limit: Limit
    place: int
    factor: float = 1.0
    unsure: float = 0.0
    title: str = ""
    axis: str = ""
    tip: str = ""
    raced: bool = False
    column: Column | None = None  # set once the table is complete

    @property
    def sign(self) -> int:
        """1 if less is better, else -1."""
        return 1 if self.better == "less" else -1

    def is_better(self, value: float, than: float) -> bool:
        return self.sign * value < self.sign * than

    def known(self, row: Any) -> Known:
        """What a row tells about this figure."""
        value = getattr(row, self.column.name)
        if value is None:
            reason, fix = self.missing(row)
            return Known(value=None, reason=reason, fix=fix)
        value *= self.factor
        part = row.part if self.raced else None
        if (interval := self.column.interval_of(row)) is not None:
            low, high = (end * self.factor for end in interval)
            return Known(value=value, low=low, high=high, part=part)
        if self.unsure:
            return Known(value=value, low=value / (1 + self.unsure), high=value * (1 + self.unsure), part=part)
        return Known(value=value, part=part)

    def show(self, value: float) -> str:
        """A value with its unit: "12.3 ms", "94.1 %"."""
        if self.column.percent is not None:
            return f"{value:.{self.column.percent}%}".replace("%", " %")
        return f"{significant(value, 3)} {self.unit}"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the report, a field of `Row`. CSV, JSON and pandas use its name, which includes the unit.

    `read` takes it from a result. `heading`: its heading in tables for people, which leave it out without one. Numbers
    are shown to `digits` significant digits, or as a percentage with `percent` decimal places. `optional`: left out of
    a table in which no row has it. `once`: shown once if all rows of a table have the same value. `before`: tables show
    it left of this column. `written`: CSV, JSON and pandas have it. `plain` gives their value and `cell` that of
    tables, if they differ from the field. `low` and `high` name the fields with its 95 % interval. `percentile`: the
    percentile of the latency, as a share. `shared`: only an evaluation has it; the rows of the same artifact on the
    same runtime take it from there.
    """

    read: Read
    name: str = ""
    heading: str = ""
    unit: str = ""
    digits: int | None = None
    percent: int | None = None
    optional: bool = False
    once: bool = False
    before: str = ""
    written: bool = True
    plain: Callable[[Any], Any] | None = None
    cell: Callable[[Any], Any] | None = None
    low: str = ""
    high: str = ""
    percentile: float | None = None
    shared: bool = False
    criterion: Criterion | None = None

    def interval_of(self, row: Any) -> tuple[float, float] | None:
        """The 95 % interval of this figure in a row; None if it has none."""
        if not self.low or (low := getattr(row, self.low)) is None:
            return None
        return low, getattr(row, self.high)


def column(heading: str, read: Read, **told: Any) -> Any:
    """A field of `Row`, with its column."""
    made = Column(heading=heading, read=read, **told)
    return dataclasses.field(metadata={"column": made, "json": made.written})


def significant(value: float, digits: int) -> str:
    """A number to this many significant digits, at most six decimal places, without an exponent."""
    places = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(places, 6)}f}"
