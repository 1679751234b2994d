"""The results of a measurement over time: when it became slower or faster, by how much, and what changed then."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Literal, NamedTuple

import numpy as np

from edgebench.comparing import change_points, measured, pairing
from edgebench.comparing.change_points import FEWEST
from edgebench.comparing.ratio import BAND, Ratio
from edgebench.errors import UsageError
from edgebench.records import jsonio
from edgebench.records.result import Launch, Result
from edgebench.results import stats
from edgebench.results.same import measurement

WEEK_S = 7 * 24 * 3600
HistoryOutcome = Literal["slower", "steady", "inconclusive", "too few"]
NEEDED = 2 * FEWEST  # results, for a level on each side of a change


@dataclass(frozen=True)
class Point:
    """One result: when it was made (ISO 8601), its median in ns over the undisturbed launches, and their number."""

    created: str
    median_ns: int
    launches: int


@dataclass(frozen=True, kw_only=True)
class Change:
    """A step between two results, or a creep over several; `created` and `until` are those of the first and the last
    result at the other level, or of the creep.

    `ratio` is after ÷ before, or the creep's end ÷ its start, with the 95 % interval; above 1 is slower. `per_week` is
    the creep's share per week, None if it lasts less than one. `machine` is the same ratio of the time of work that
    never changes (yardstick.py), of the one that moved most in the same direction; None if it was not measured.
    `differs`: what else is not the same after it: libraries, artifact, driver, ...
    """

    kind: Literal["step", "creep"]
    created: str
    until: str
    ratio: float
    low: float
    high: float
    per_week: float | None = None
    machine: float | None = None
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CellHistory:
    """One measurement over time, oldest first.

    `ratio` is the present level ÷ the lowest one, which began with the result of `lowest`, with its 95 % interval; 1
    and no interval where the present level is the lowest. None if there are too few results.
    `left_out`: results of which every launch was disturbed.
    """

    model: str
    format: str
    runtime: str
    scenario: str
    setting: str
    outcome: HistoryOutcome
    reason: str = ""
    points: tuple[Point, ...]
    left_out: int = 0
    changes: tuple[Change, ...] = ()
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    lowest: str = ""

    @property
    def name(self) -> str:
        return f"{self.model} ({self.format}) on {self.runtime}, {self.scenario}, {self.setting}"


@dataclass(frozen=True)
class Histories:
    """All measurements of a set of results over time; `band`: a rise within this share is ignored."""

    band: float
    cells: tuple[CellHistory, ...]

    @property
    def slower(self) -> list[CellHistory]:
        return [cell for cell in self.cells if cell.outcome == "slower"]


class _Dated(NamedTuple):
    """A result with its undisturbed launches, the logarithm of their median in ns, and its time in seconds."""

    result: Result
    launches: list[Launch]
    log_ns: float
    at: float


class _Part(NamedTuple):
    """A stretch of the series: its results, and their logarithms moved along its slope to its start and to its end.

    Without a creep nothing is moved, and `early` and `late` are all of the results; of a creep they are its halves.
    """

    creeps: bool
    seen: list[_Dated]
    at_start: np.ndarray
    at_end: np.ndarray
    early: list[_Dated]
    late: list[_Dated]


def history(results: Sequence[Result], *, band: float = BAND, since: datetime | None = None) -> Histories:
    """Each measurement of these results over time. Only results from `since` on (UTC, unless it has a zone) count.

    Results are of one measurement if what was asked and what ran are equal, as for `edgebench compare`; the artifact
    and the versions of the libraries may differ. The rule for changes is change_points.stretches. Raises UsageError for
    a band that makes no sense.
    """
    if not 0 <= band < 0.5:
        raise UsageError(f"--band is {band:g}", "give a share such as 0.02")
    start = None if since is None else _aware(since)
    found = {(result.created, same_series(result)): result for result in results}  # a copy does not count twice
    series: dict[str, list[Result]] = {}
    for (created, key), result in sorted(found.items(), key=lambda item: item[0]):
        if start is None or _aware(datetime.fromisoformat(created)) >= start:
            series.setdefault(key, []).append(result)
    cells = [cell for some in series.values() if (cell := of_series(some, band=band))]
    return Histories(band, tuple(sorted(cells, key=lambda cell: cell.name)))


def nothing(results: Sequence[Result], since: datetime | None) -> tuple[str, str]:
    """Why these results give no history, and what to do."""
    start = None if since is None else _aware(since)
    found = [r for r in results if start is None or _aware(datetime.fromisoformat(r.created)) >= start]
    launches = [launch for result in found for launch in measured.timed(result)]
    if not launches:
        when = f" since {start:%Y-%m-%d %H:%M}" if start else ""
        return f"there is no timed result{when}", "an earlier --since" if start else "`edgebench run`"
    codes = Counter(code for result in found for code in measured.seen(result))
    told = ", ".join(f"{code} ({n})" for code, n in codes.most_common())
    what = f"{len(found)} results, and each of their {len(launches)} launches was disturbed: {told}"
    return what, "stop what else runs on the machine, and measure again; `edgebench report` shows the results"


def same_series(result: Result) -> str:
    """A key that is equal for the results of one history. A failure is in a history of its own: nothing ran."""
    return jsonio.dumps([measurement(result, "exactly"), pairing.ran(result)])


def of_series(results: Sequence[Result], *, band: float = BAND) -> CellHistory | None:
    """The history of results of one measurement, oldest first; None if none of them has a figure."""
    dated = [one for result in results if (one := _dated(result))]
    if not dated:
        return None
    found = change_points.stretches([one.log_ns for one in dated])
    parts = [_part(dated[stretch.first : stretch.end], stretch.creeps) for stretch in found]
    return _judged(
        CellHistory(
            **measured.named(dated[-1].result),
            outcome="steady",
            points=tuple(Point(d.result.created, round(math.exp(d.log_ns)), len(d.launches)) for d in dated),
            left_out=len(results) - len(dated),
            changes=tuple(_changes(parts)),
        ),
        parts,
        band,
    )


def _dated(result: Result) -> _Dated | None:
    """None for a result without a figure."""
    clean = measured.clean(result)
    if result.status != "ok" or not clean:
        return None
    median_ns = stats.Pool([measured.times(launch, result) for launch in clean]).percentile(0.5)
    at = _aware(datetime.fromisoformat(result.created)).timestamp()
    return _Dated(result, clean, math.log(median_ns), at)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _part(seen: list[_Dated], creeps: bool) -> _Part:
    logs = np.array([one.log_ns for one in seen])
    if not creeps:
        return _Part(creeps, seen, logs, logs, seen, seen)
    at = _times(seen)
    slope, half = change_points.slope(logs, at), len(seen) // 2
    return _Part(creeps, seen, logs - slope * (at - at[0]), logs - slope * (at - at[-1]), seen[:half], seen[-half:])


def _changes(parts: Sequence[_Part]) -> Iterator[Change]:
    """The step before each part but the first, and the part's own creep."""
    for before, part in zip([None, *parts], parts, strict=False):
        if before:
            ratio = change_points.step(before.at_end, part.at_start)
            yield _change("step", part, ratio, (before.late, part.early), (before.seen[-1], part.seen[0]))
        if part.creeps:
            yield _change("creep", part, _creep(part), (part.early, part.late), (part.seen[0], part.seen[-1]))


def _change(
    kind: Literal["step", "creep"], part: _Part, ratio: Ratio, sides: tuple[list[_Dated], list[_Dated]],
    neighbours: tuple[_Dated, _Dated],
) -> Change:  # fmt: skip
    """`sides`: the results before and after, for the machine's own change; `neighbours`: those whose facts are held
    against each other."""
    weeks = (part.seen[-1].at - part.seen[0].at) / WEEK_S
    return Change(
        kind=kind,
        created=part.seen[0].result.created,
        until=part.seen[-1].result.created,
        ratio=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        per_week=ratio.ratio ** (1 / weeks) - 1 if kind == "creep" and weeks >= 1 else None,
        machine=_machine(*sides, ratio),
        differs=tuple(pairing.differences(*(pairing.free(one.result) for one in neighbours))),
    )


def _creep(part: _Part) -> Ratio:
    return change_points.creep([one.log_ns for one in part.seen], _times(part.seen))


def _times(seen: Sequence[_Dated]) -> np.ndarray:
    """In seconds; where a clock stood still, their order."""
    at = np.array([one.at for one in seen])
    return at if at[-1] > at[0] else np.arange(len(at), dtype=float)


def _machine(before: Sequence[_Dated], after: Sequence[_Dated], ratio: Ratio) -> float | None:
    computes = {one.result.job.compute for one in (*before, *after)}
    sides = [[launch for one in side for launch in one.launches] for side in (before, after)]
    found = measured.machine_changes(computes, *sides)
    if not found:
        return None
    return max([1.0, *found]) if ratio.ratio > 1 else min([1.0, *found])


def _judged(cell: CellHistory, parts: Sequence[_Part], band: float) -> CellHistory:
    """Hold the present level against the lowest one of the history."""
    if len(cell.points) < NEEDED:
        return replace(cell, outcome="too few")
    now = parts[-1]
    ends = [end for part in parts for end in ((part, part.at_start, part.early), (part, part.at_end, part.late))]
    lowest, level, shown = min(ends, key=lambda end: float(np.median(end[1])))
    cell = replace(cell, ratio=1.0, lowest=lowest.seen[0].result.created)
    if level is now.at_end:
        return cell  # nothing was ever faster
    ratio = _creep(now) if lowest is now else change_points.step(level, now.at_end)
    cell = replace(cell, ratio=ratio.ratio, low=ratio.low, high=ratio.high)
    if ratio.ratio <= 1 + band or ratio.low <= 1:
        return cell
    machine = _machine(shown, now.late, ratio) or 1.0
    if ratio.ratio <= (1 + band) * machine:
        reason = f"the machine itself became {machine - 1:.1%} slower, at work that never changes"
        return replace(cell, outcome="inconclusive", reason=reason)
    return replace(cell, outcome="slower")
