"""Keeps the account of a dataset while it is split: each row is used in one split, or left out for one reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgebench.records import account
from edgebench.records.account import SHOWN, Account, Groups, LeftOut, Pictures, Reason
from edgebench.records.notices import Notice, notice
from edgebench.training.data import cutting
from edgebench.training.data.sources import Dataset, Raw

COPIES: tuple[Reason, ...] = ("copy", "copy_of_test", "copy_of_validation")
LARGE = 0.25  # share of the pictures: a group that is larger makes splits lopsided


class Ledger:
    """What became of each row of a dataset. The first reason for which a row is left out stays."""

    def __init__(self, dataset: Dataset, raw: Raw) -> None:
        self._dataset, self._raw = dataset, raw
        self._reasons: dict[Reason, list[np.ndarray]] = {}
        self._open = np.ones(len(raw.source.labels), bool)
        self.pictures: Pictures | None = None  # what they are, if somebody looked
        self.groups: np.ndarray | None = None  # int64 (n,): equal numbers for rows that no split may part
        self.near: np.ndarray | None = None  # as `groups`, of near copies alone
        self.distinct: np.ndarray | None = None  # the rows that are left once copies are left out

    def leave(self, rows: np.ndarray, reason: Reason) -> None:
        """These rows are left out for this reason."""
        rows = rows[self._open[rows]]
        self._open[rows] = False
        self._reasons.setdefault(reason, []).append(rows)

    def leave_broken(self, rows: np.ndarray) -> None:
        """These rows are left out since they cannot be decoded, for the reason that their source tells."""
        for row in rows.tolist():
            self.leave(np.array([row]), self._raw.source.fault(row))

    def open(self, rows: np.ndarray) -> np.ndarray:
        """These rows without those that were left out."""
        return rows[self._open[rows]]

    def told(self) -> list[tuple[str, int]]:
        """What was left out so far: why, in words, and how many rows."""
        return [(account.WORDS[reason], count) for reason in account.WORDS if (count := self.left(reason))]

    def left(self, *reasons: Reason) -> int:
        """How many rows were left out so far for these reasons."""
        return sum(len(rows) for reason in reasons for rows in self._reasons.get(reason, ()))

    def close(self, used: Mapping[str, np.ndarray]) -> Account:
        """The account, given the rows that each split uses in the end. All other rows have been left out."""
        for rows in used.values():
            assert self._open[rows].all()
            self._open[rows] = False
        assert not self._open.any(), "the fate of a row is unknown"
        found, classes = [*self._raw.left_out], self._dataset.classes
        for reason, parts in self._reasons.items():
            rows = np.sort(np.concatenate(parts))
            found.append(LeftOut(reason=reason, count=len(rows), names=self._raw.source.printable(rows[:SHOWN])))
        labels = self._raw.source.labels
        rows = np.concatenate(list(used.values()))
        return Account(
            layout=self._raw.layout,
            classes=classes,
            found=len(labels) + sum(each.count for each in self._raw.left_out),
            used={split: len(rows) for split, rows in used.items()},
            left_out=account.merged(found),
            balance={
                split: tuple(np.bincount(labels[rows], minlength=len(classes)).tolist()) for split, rows in used.items()
            },
            pictures=self.pictures,
            groups=self._together(rows),
            notices=tuple(self._notices(rows)),
        )

    def _together(self, rows: np.ndarray) -> Groups | None:
        """The groups among the rows that are used."""
        if self.groups is None:
            return None
        numbers, sizes = np.unique(self.groups[rows], return_counts=True)
        several = sizes[sizes > 1]
        if not len(several):
            return None
        largest = np.flatnonzero(self.groups == numbers[np.argmax(sizes)])[:1]
        return Groups(
            groups=len(several), pictures=int(several.sum()), largest=int(several.max()),
            name=self._raw.source.printable(largest)[0],
        )  # fmt: skip

    def _notices(self, rows: np.ndarray) -> Iterator[Notice]:
        labels, classes = self._raw.source.labels, self._dataset.classes
        parts = [copies for reason in COPIES for copies in self._reasons.get(reason, ())]
        copies = np.bincount(labels[np.concatenate(parts)] if parts else [], minlength=len(classes))
        kept = np.bincount(labels[self.distinct], minlength=len(classes)) if self.distinct is not None else copies
        for label in np.flatnonzero((copies > 0) & (copies >= kept)).tolist():
            yield notice("few_distinct", name=classes[label], distinct=kept[label], copies=copies[label])
        if self.near is not None and len(doubtful := cutting.conflicting(self.near[rows], labels[rows])):
            numbers = self.near[rows[doubtful]]
            pair = rows[doubtful][numbers == numbers[0]][[0, -1]]
            names = " = ".join(self._raw.source.printable(pair))
            yield notice("near_conflict", count=len(np.unique(numbers)), names=names)
        found = self._together(rows)
        if found and found.largest > LARGE * len(rows):
            yield notice("large_group", count=found.largest, of=len(rows), name=found.name)
