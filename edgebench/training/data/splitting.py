"""Splits a dataset into training, validation and test images, of which no image is in two splits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.records import account_text
from edgebench.records.account import Account, LeftOut, Reason
from edgebench.records.account_text import REMEDIES
from edgebench.specs import DataSplit
from edgebench.training.data import test_hash
from edgebench.training.data.accounting import Ledger
from edgebench.training.data.catalogue import find
from edgebench.training.data.levels import Depths
from edgebench.training.data.sources import Dataset, Decoding, Images, Raw, Splits
from edgebench.training.data.subset import is_validation, stratified_order, subset_count

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.2
TAKEN: dict[int, Reason] = {1: "copy_of_test", 2: "copy_of_validation"}
PARTS = (" for training", " for validation")
USES = {1: " for training", 2: " for training and validation"}  # by how many images of each class are needed


def load(
    dataset: Dataset | str,
    subset: str,
    image_size: int,
    seed: int,
    *,
    data_dir: str | Path | None = None,
    skip_broken: bool = False,
    stream: bool = False,
    test_later: bool = False,
    depths: Depths | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Splits:
    """Read, split and resize a dataset (a name or a folder, see `find`), or a subset of it.

    The test split is the dataset's own, or else a stratified fifth of it. It depends on the dataset alone, so that
    every seed and subset is judged on the same images. `subset` counts the labelled images for training and validation
    together: one in eight is for validation, unless the dataset has its own validation split. With the same seed, a
    larger subset contains the training images of a smaller one, and its validation images. The first images of each
    split have all classes in proportion. A training or validation image is left out if it equals a test image, or an
    earlier image of the dataset, byte for byte.

    Image files are decoded once into a cache, or with `stream` at each use. With `skip_broken`, files that cannot be
    decoded are left out; otherwise BadFile names them. `test_later`: see Decoding. Pictures of more than 8 bits are
    decoded by the levels of `depths`, by default those of the training and validation images.
    `on_progress(done, total)` counts files.
    """
    if isinstance(dataset, str):
        dataset = find(dataset, data_dir)
    cut = _cut(dataset, subset, seed)
    raw, ledger, labels, per_class = cut.raw, cut.ledger, cut.raw.source.labels, cut.per_class
    if depths is None:
        depths = cut.depths(keep=not stream)
    how = Decoding(
        skip_broken=skip_broken, stream=stream, test_later=test_later, levels=depths.levels, on_progress=on_progress
    )
    opened = raw.source.open(cut.rows, image_size, how)
    for rows, (_, kept) in zip(cut.rows, opened, strict=True):
        for row in np.setdiff1d(rows, kept):
            ledger.leave(np.array([row]), raw.source.fault(row))
    if broken := sum(map(len, cut.rows)) - sum(len(kept) for _, kept in opened):
        when = f" after leaving out {_counted(broken, 'broken file')}"
        for use, (_, rows) in zip(PARTS[:per_class], opened, strict=False):  # its own validation may lack classes
            _check_each_class(dataset, labels[rows], 1, use, when)
        if not all(len(rows) for _, rows in opened):
            raise BadFile(f"every image in one split of dataset {dataset.name} is broken", "repair its images")
    digest = hashlib.sha256()
    for _, rows in opened:
        digest.update(raw.source.names(rows) + b"|")
    used = {name: rows for name, (_, rows) in zip(SPLITS, opened, strict=True)}
    info = DataSplit(
        dataset=dataset.name, classes=dataset.classes, **{name: len(rows) for name, rows in used.items()},
        indices_sha256=digest.hexdigest(), account=ledger.close(used),
        test_sha256=test_hash.of(dataset.classes, labels[used["test"]], raw.source.contents(used["test"])),
    )  # fmt: skip
    parts = {name: Images(pixels, labels[rows]) for name, (pixels, rows) in zip(SPLITS, opened, strict=True)}
    return Splits(**parts, info=info, depths=depths)


def account(dataset: Dataset, subset: str = "full", seed: int = 0) -> Account:
    """What becomes of each file of a dataset when it is split, before any is decoded: broken ones count as used."""
    cut = _cut(dataset, subset, seed)
    return cut.ledger.close(dict(zip(SPLITS, cut.rows, strict=True)))


@dataclass(frozen=True)
class Few:
    """By class, a few of its pictures, uint8 (n, size, size, 3)."""

    size: int
    pictures: list[np.ndarray]


def few(dataset: Dataset, subset: str, image_size: int, seed: int, *, each: int, most_classes: int) -> Few:
    """`each` pictures of the first classes, spread over those that are used; broken ones are left out."""
    cut = _cut(dataset, subset, seed)
    labels, rows = cut.raw.source.labels, np.sort(np.concatenate(cut.rows))
    chosen = []
    for label in range(min(len(dataset.classes), most_classes)):
        own = rows[labels[rows] == label]
        chosen.append(own[np.unique(np.linspace(0, len(own) - 1, min(each, len(own))).astype(int))])
    none = np.array([], np.int64)
    how = Decoding(skip_broken=True, stream=True, levels=cut.depths(keep=True).levels)
    pixels, kept = cut.raw.source.open((np.concatenate(chosen), none, none), image_size, how)[0]
    return Few(image_size, [pixels[np.flatnonzero(np.isin(kept, some))] for some in chosen])


@dataclass(frozen=True)
class _Cut:
    """A dataset with the rows of its three splits. `per_class`: how many training rows each class has at least."""

    raw: Raw
    ledger: Ledger
    rows: tuple[np.ndarray, np.ndarray, np.ndarray]
    per_class: int

    def depths(self, *, keep: bool) -> Depths:
        """How deep the training and validation images are: the test images have no say."""
        return self.raw.source.depths(np.concatenate(self.rows[:2]), keep=keep)


def _cut(dataset: Dataset, subset: str, seed: int) -> _Cut:
    """Cut a dataset in three without overlap, and write down what is left out."""
    raw, train, validation, test = _divided(dataset, subset)
    labels, classes = raw.source.labels, len(dataset.classes)
    own_validation = validation is not None
    per_class = 1 if own_validation else 2

    ledger = Ledger(dataset, raw)
    train, validation = _without_copies(raw.source.identities(), train, validation, test, ledger)
    duplicates = ledger.left("copy_of_test", "copy_of_validation", "copy")
    _check_each_class(
        dataset, labels[train], per_class, USES[per_class], f" after leaving out {_counted(duplicates, 'duplicate')}"
    )
    if own_validation and not len(validation):
        raise BadFile(f"all validation images of dataset {dataset.name} are test images too", "use other images")

    count = subset_count(subset, len(train), classes, per_class)
    order, rank = stratified_order(labels[train], seed, per_class)
    ledger.leave(train[order[count:]], "other_subset")
    chosen, rank = train[order[:count]], rank[:count]
    if own_validation:
        train, validation = chosen, validation[stratified_order(labels[validation], 0)[0]]
    else:
        train, validation = chosen[~is_validation(rank)], chosen[is_validation(rank)]
    test = test[stratified_order(labels[test], 0)[0]]
    return _Cut(raw, ledger, (train, validation, test), per_class)


def check(dataset: Dataset, subset: str) -> None:
    """Raise UsageError or BadFile if the dataset cannot have such a subset. Reads no image file."""
    _divided(dataset, subset)


def digest(dataset: Dataset) -> str:
    """sha256 of a dataset's classes, labels, splits and images, independent of where it is."""
    raw, found = dataset.read(), hashlib.sha256(repr(dataset.classes).encode())
    for rows in (raw.source.labels, raw.train, raw.validation, raw.test):
        found.update(b"|" + (b"" if rows is None else np.ascontiguousarray(rows).tobytes()))
    for part in raw.source.content():
        found.update(part)
    return found.hexdigest()


def _divided(dataset: Dataset, subset: str) -> tuple[Raw, np.ndarray, np.ndarray | None, np.ndarray]:
    """The dataset, and its rows for training (and validation, if it has no split for it), validation and testing."""
    raw = dataset.read()
    labels, train, validation, test = raw.source.labels, raw.train, raw.validation, raw.test
    per_class = 1 if validation is not None else 2
    needed = per_class + (test is None)
    _check_each_class(dataset, labels[train], needed, USES[per_class] if test is not None else "", left=raw.left_out)
    if test is None:
        count = max(len(dataset.classes), math.ceil(TEST_SHARE * len(train)))
        order, _ = stratified_order(labels[train], 0, 1)
        train, test = train[order[count:]], train[order[:count]]
    for name, rows in (("validation", validation), ("test", test)):
        if rows is not None and not len(rows):
            raise BadFile(f"dataset {dataset.name} has no images in its {name} split", "add some, or delete the folder")
    subset_count(subset, len(train), len(dataset.classes), per_class)  # a mistyped size, before files are read
    return raw, train, validation, test


def _check_each_class(
    dataset: Dataset, labels: np.ndarray, needed: int, use: str = "", when: str = "", left: Sequence[LeftOut] = ()
) -> None:
    counts = np.bincount(labels, minlength=len(dataset.classes))
    poor = np.flatnonzero(counts < needed)
    if not len(poor):
        return
    told = [f"{account_text.left(each)}: {remedy}" for each in left if (remedy := REMEDIES.get(each.reason))]
    others = f" ({len(poor)} classes have fewer)" if len(poor) > 1 else ""
    raise BadFile(
        f"class {dataset.classes[poor[0]]!r} of dataset {dataset.name} has {_counted(counts[poor[0]], 'image')}{when}: "
        f"each class needs at least {needed}{use}{others}",
        "; ".join(["add images to the class, or leave it out", *told]),
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _without_copies(
    identities: np.ndarray, train: np.ndarray, validation: np.ndarray | None, test: np.ndarray, ledger: Ledger
) -> tuple[np.ndarray, np.ndarray | None]:
    """Training and validation rows without copies of a test row or of an earlier row; validation rows come first."""
    where = np.zeros(identities.max() + 1, np.int8)  # 0: in no split yet; 1: in test, 2: in validation, 3: in training
    where[identities[test]] = 1
    kept = []
    for split, rows in ((2, validation), (3, train)):
        if rows is not None:
            for number, reason in TAKEN.items():
                ledger.leave(rows[where[identities[rows]] == number], reason)
            rows = rows[where[identities[rows]] == 0]
            first = np.sort(np.unique(identities[rows], return_index=True)[1])
            ledger.leave(np.delete(rows, first), "copy")
            rows = rows[first]
            where[identities[rows]] = split
        kept.append(rows)
    return kept[1], kept[0]
