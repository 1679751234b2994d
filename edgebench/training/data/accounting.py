"""Keeps the account of a dataset while it is split: each row is used in one split, or left out for one reason."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgebench.records import account
from edgebench.records.account import SHOWN, Account, LeftOut, Reason
from edgebench.training.data.sources import Dataset, Raw


class Ledger:
    """What became of each row of a dataset. The first reason for which a row is left out stays."""

    def __init__(self, dataset: Dataset, raw: Raw) -> None:
        self._dataset, self._raw = dataset, raw
        self._reasons: dict[Reason, list[np.ndarray]] = {}
        self._open = np.ones(len(raw.source.labels), bool)

    def leave(self, rows: np.ndarray, reason: Reason) -> None:
        """These rows are left out for this reason."""
        rows = rows[self._open[rows]]
        self._open[rows] = False
        self._reasons.setdefault(reason, []).append(rows)

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
        return Account(
            layout=self._raw.layout,
            classes=classes,
            found=len(labels) + sum(each.count for each in self._raw.left_out),
            used={split: len(rows) for split, rows in used.items()},
            left_out=account.merged(found),
            balance={
                split: tuple(np.bincount(labels[rows], minlength=len(classes)).tolist()) for split, rows in used.items()
            },
        )
