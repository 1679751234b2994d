"""An accuracy in its context, in words: the majority's share, balanced accuracy, the recall of classes, and notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgebench.records.answers import ClassAccuracy
from edgebench.report.written import MISSING
from edgebench.results import context
from edgebench.results.context import Context, Recall
from edgebench.specs import DataSplit

WORST = 3  # classes that a line shows


def lines(classes: Sequence[ClassAccuracy], data: DataSplit) -> list[str]:
    """The context of the accuracy that these classes add up to, and what speaks against it; nothing without counts."""
    if (found := context.of(classes)) is None:
        return []
    by_name = {each.name: each for each in classes}
    shown = ", ".join(_recall(each, by_name[each.name]) for each in found.recalls[:WORST])
    which = f"the lowest {WORST} of {len(found.recalls)} classes" if len(found.recalls) > WORST else "by class"
    return [
        f"in context: {percent(found.majority_share)} of the test images are {found.majority!r}; balanced accuracy "
        f"{percent(found.balanced)} ({interval(found.balanced_low, found.balanced_high)})",
        f"recall, {which}: {shown}",
        *warnings(classes, data),
    ]


def warnings(classes: Sequence[ClassAccuracy], data: DataSplit) -> list[str]:
    """The notices of these classes, a line each."""
    return [f"warning: {each.message} ({each.remedy})" for each in context.notices(classes, data)]


def plain(classes: Sequence[ClassAccuracy], data: DataSplit | None) -> dict[str, Any] | None:
    """The context as plain values, for --json; None without counts."""
    if (found := context.of(classes)) is None:
        return None
    return {**vars(found), "notices": context.notices(classes, data)}


def worst(found: Context | None) -> str:
    """The lowest recall and its class, in a cell of a table: "0.0% (defect)"."""
    return f"{found.worst.share:.1%} ({found.worst.name})" if found else MISSING


def interval(low: float, high: float) -> str:
    return f"95 % interval {100 * low:.1f} to {percent(high)}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _recall(found: Recall, of: ClassAccuracy) -> str:
    taken = f", {of.mistaken} taken for {of.mistaken_for!r}" if of.mistaken else ""
    figures = f"{found.correct} of {found.images}, {interval(found.low, found.high)}{taken}"
    return f"{found.name!r} {percent(found.share)} ({figures})"
