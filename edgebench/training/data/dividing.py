"""Divides a dataset: what is left out and why, what belongs together, and which rows each split has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.errors import BadFile, UsageError
from edgebench.records import account_text
from edgebench.records.account import SHOWN, LeftOut, Reason
from edgebench.records.account_text import REMEDIES
from edgebench.training.data import cutting, grouping
from edgebench.training.data.accounting import Ledger
from edgebench.training.data.levels import Depths
from edgebench.training.data.likeness import connected
from edgebench.training.data.sources import Alike, Dataset, Decoding, Raw
from edgebench.training.data.subset import is_validation, stratified_order, subset_count

TEST_SHARE = 0.2
USES = {1: " for training", 2: " for training and validation"}  # by how many images of each class are needed


@dataclass(frozen=True, kw_only=True)
class Divided:
    """A dataset with the rows of its training, validation and test split, int64. `per_class`: in how many of them,
    beside the test split, each class needs a row."""

    raw: Raw
    ledger: Ledger
    rows: tuple[np.ndarray, np.ndarray, np.ndarray]
    per_class: int

    def depths(self, *, keep: bool) -> Depths:
        """How deep the training and validation images are: the test images have no say."""
        return self.raw.source.depths(np.concatenate(self.rows[:2]), keep=keep)


def divide(dataset: Dataset, subset: str, seed: int, decoding: Decoding) -> Divided:
    """Cut a dataset, or a subset of it, in three without overlap; see `splitting.load`."""
    raw = checked(dataset, subset)
    labels, rules = raw.source.labels, dataset.rules
    own_validation, own_test = raw.validation is not None, raw.test is not None
    per_class = 1 if own_validation else 2
    if rules.group_by and raw.layout.kind == "arrays":
        raise UsageError(f"--group-by is for folders, not for {dataset.name}", "leave it out")

    ledger = Ledger(dataset, raw)
    alike = raw.source.alike(decoding, near_copies=rules.near_copies)
    ledger.leave_broken(alike.broken)
    if alike.near is not None:
        _settle(dataset, raw, alike, ledger)
    train, validation, test = _distinct(raw, alike, ledger)
    ledger.distinct = np.concatenate([rows for rows in (train, validation, test) if rows is not None])
    ledger.groups = groups = _groups(dataset, raw, alike)
    ledger.near = alike.near
    ledger.pictures = alike.pictures
    if own_test or own_validation:
        train, validation = _apart(train, validation, test, alike.near if rules.near_copies else None, groups, ledger)
    needed = per_class + (not own_test)
    check_each_class(dataset, labels[train], needed, ledger, USES[per_class] if own_test else "")
    for name, rows in (("validation", validation), ("test", test)):
        if rows is not None and not len(rows):
            raise BadFile(
                f"dataset {dataset.name} has no images in its {name} split{_without(ledger)}", "use other images"
            )
    near = rules.near_copies and alike.near is not None and _several(alike.near[train])
    _check_groups(dataset, groups[train], labels[train], needed, near)
    if test is None:
        count = max(len(dataset.classes), math.ceil(TEST_SHARE * len(train)))
        order, _ = stratified_order(labels[train], 0, 1)
        alone = np.zeros(len(train), bool)
        alone[order[:count]] = True
        held = cutting.held_out(order, alone, labels[train], groups[train], per_class)
        train, test = train[order[~held[order]]], train[order[held[order]]]
        _check_cut(dataset, labels, train, test, near)

    count = subset_count(subset, len(train), len(dataset.classes), per_class)
    order, rank = stratified_order(labels[train], seed, per_class)
    if validation is None:
        alone = np.zeros(len(train), bool)
        alone[order] = is_validation(rank)
        held = cutting.held_out(order, alone, labels[train], groups[train], 1)
        if (held != alone).any():
            order = cutting.arranged(order, rank, labels[train], held)
        _check_cut(dataset, labels, train[~held], train[held], near)
        chosen = order[:count]
        ledger.leave(train[order[count:]], "other_subset")
        train, validation = train[chosen[~held[chosen]]], train[chosen[held[chosen]]]
    else:
        ledger.leave(train[order[count:]], "other_subset")
        train = train[order[:count]]
        validation = validation[stratified_order(labels[validation], 0)[0]]
    test = test[stratified_order(labels[test], 0)[0]]
    return Divided(raw=raw, ledger=ledger, rows=(train, validation, test), per_class=per_class)


def checked(dataset: Dataset, subset: str) -> Raw:
    """The dataset's list of images. Raises UsageError or BadFile if it cannot have such a subset; reads no image."""
    raw = dataset.read()
    labels, classes = raw.source.labels, len(dataset.classes)
    per_class = 1 if raw.validation is not None else 2
    needed, use = per_class + (raw.test is None), USES[per_class] if raw.test is not None else ""
    check_each_class(dataset, labels[raw.train], needed, None, use, left=raw.left_out)
    for name, rows in (("validation", raw.validation), ("test", raw.test)):
        if rows is not None and not len(rows):
            raise BadFile(f"dataset {dataset.name} has no images in its {name} split", "add some, or delete the folder")
    held = max(classes, math.ceil(TEST_SHARE * len(raw.train))) if raw.test is None else 0
    subset_count(subset, len(raw.train) - held, classes, per_class)  # a mistyped size, before files are read
    return raw


def _settle(dataset: Dataset, raw: Raw, alike: Alike, ledger: Ledger) -> None:
    """Leave out pictures that have two labels, or raise BadFile that names the pairs."""
    rows = cutting.conflicting(alike.same, raw.source.labels)
    if dataset.rules.skip_conflicts:
        ledger.leave(rows, "conflict")
    elif len(rows):
        pictures = np.split(rows, np.flatnonzero(np.diff(alike.same[rows])) + 1)
        pictures.sort(key=lambda rows: int(rows[0]))
        pairs = [" = ".join(raw.source.printable(rows[[0, -1]])) for rows in pictures[:SHOWN]]
        more = f", and {len(pictures) - SHOWN} more" if len(pictures) > SHOWN else ""
        one = len(pictures) == 1
        raise BadFile(
            f"{len(pictures)} picture{' is' if one else 's are'} under two labels in dataset {dataset.name}: "
            f"{', '.join(pairs)}{more}",
            "find out which label is right and delete the other file, or leave both out with --skip-conflicts",
        )


def _distinct(raw: Raw, alike: Alike, ledger: Ledger) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """The rows of each split, each picture once: in test if it is there, else in validation if it is there."""
    where = np.zeros(int(alike.same.max(initial=0)) + 1, np.int8)  # 0: in no split so far; 1: test; 2: validation
    taken: dict[int, Reason] = {1: "copy_of_test", 2: "copy_of_validation"}
    found: list[np.ndarray | None] = []
    for split, rows in ((1, raw.test), (2, raw.validation), (3, raw.train)):
        if rows is not None:
            rows = ledger.open(rows)
            for number, reason in taken.items():
                if number < split:
                    ledger.leave(rows[where[alike.same[rows]] == number], reason)
            if split == 1 and alike.near is None:  # a published test split stays whole
                kept = rows
            else:
                kept = cutting.distinct(alike.same, rows, where > 0)
                ledger.leave(np.setdiff1d(ledger.open(rows), kept), "copy")
            where[alike.same[kept]] = split
            rows = kept
        found.append(rows)
    test, validation, train = found
    assert train is not None
    return train, validation, test


def _groups(dataset: Dataset, raw: Raw, alike: Alike) -> np.ndarray:
    """int64 (n,): equal numbers for the rows that no split may part."""
    groups = np.arange(len(alike.same))
    if alike.near is not None and dataset.rules.near_copies:
        groups = alike.near
    if dataset.rules.group_by:
        named = grouping.numbered(dataset.rules.group_by, raw.source.printable(np.arange(len(groups))))
        rows = np.flatnonzero(named >= 0)
        _, first = np.unique(named[rows], return_index=True)
        groups = connected(groups, np.stack([rows, rows[first][named[rows]]], axis=1))
    return groups


def _apart(
    train: np.ndarray, validation: np.ndarray | None, test: np.ndarray | None, near: np.ndarray | None,
    groups: np.ndarray, ledger: Ledger,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    """Training and validation rows without those in a group with a row of a split that stays as it is."""
    why: list[tuple[np.ndarray, Reason, Reason]] = [(groups, "group_of_test", "group_of_validation")]
    if near is not None:
        why.insert(0, (near, "near_copy_of_test", "near_copy_of_validation"))
    for numbers, of_test, of_validation in why:
        if test is not None:
            if validation is not None:
                ledger.leave(validation[np.isin(numbers[validation], numbers[test])], of_test)
                validation = ledger.open(validation)
            ledger.leave(train[np.isin(numbers[train], numbers[test])], of_test)
        if validation is not None:
            ledger.leave(train[np.isin(numbers[train], numbers[validation])], of_validation)
        train = ledger.open(train)
    return train, validation


def check_each_class(
    dataset: Dataset, labels: np.ndarray, needed: int, ledger: Ledger | None, use: str, left: Sequence[LeftOut] = ()
) -> None:
    """Raise BadFile if a class has fewer images. `use`: what for they are needed; `ledger` and `left`: why there are
    not more."""
    counts = np.bincount(labels, minlength=len(dataset.classes))
    poor = np.flatnonzero(counts < needed)
    if not len(poor):
        return
    remedies = [f"{account_text.left(each)}: {remedy}" for each in left if (remedy := REMEDIES.get(each.reason))]
    has = f"{counts[poor[0]]} image{'s' * int(counts[poor[0]] != 1)}"
    others = f" ({len(poor)} classes have fewer)" if len(poor) > 1 else ""
    raise BadFile(
        f"class {dataset.classes[poor[0]]!r} of dataset {dataset.name} has {has}"
        f"{_without(ledger)}: each class needs at least {needed}{use}{others}",
        "; ".join(["add images to the class, or leave it out", *remedies]),
    )


def _without(ledger: Ledger | None) -> str:
    """What was left out so far, as words that follow a count."""
    told = [f"{count} {words}" for words, count in ledger.told()] if ledger else []
    return f" (left out: {', '.join(told)})" if told else ""


def _several(numbers: np.ndarray) -> bool:
    """Whether two rows have one number."""
    return len(np.unique(numbers)) < len(numbers)


def _check_groups(dataset: Dataset, groups: np.ndarray, labels: np.ndarray, needed: int, near: bool) -> None:
    """Raise BadFile if a class has too few groups for its splits, though it has enough pictures."""
    classes = len(dataset.classes)
    counts = np.bincount(np.unique(groups * classes + labels) % classes, minlength=classes)
    poor = np.flatnonzero(counts < needed)
    if len(poor):
        one = counts[poor[0]] == 1
        raise BadFile(
            f"the {np.sum(labels == poor[0])} pictures of class {dataset.classes[poor[0]]!r} of dataset {dataset.name} "
            f"are {'one group' if one else f'{counts[poor[0]]} groups'} of pictures that {_belong(dataset, near)}: "
            f"{needed} groups are needed, since no group may be in two splits",
            _regroup(dataset, near),
        )


def _check_cut(dataset: Dataset, labels: np.ndarray, kept: np.ndarray, held: np.ndarray, near: bool) -> None:
    for rows in (kept, held):
        counts = np.bincount(labels[rows], minlength=len(dataset.classes))
        if not counts.all():
            raise BadFile(
                f"dataset {dataset.name} cannot be divided: its groups of pictures that {_belong(dataset, near)} are "
                f"too few to have class {dataset.classes[int(np.argmin(counts))]!r} in each split",
                _regroup(dataset, near),
            )


def _belong(dataset: Dataset, near: bool) -> str:
    """What puts pictures into one group. `near`: some are nearly the same."""
    if not dataset.rules.group_by:
        return "are nearly the same"
    return "--group-by names together, or are nearly the same" if near else "--group-by names together"


def _regroup(dataset: Dataset, near: bool) -> str:
    other = "name smaller groups" if dataset.rules.group_by else "add pictures that differ more"
    parted = ", or let near copies be parted with --no-near-copies: then the accuracy tells less"
    return other + parted * near
