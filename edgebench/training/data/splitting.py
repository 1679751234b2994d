"""Splits a dataset into training, validation and test images, of which no image is in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.records.account import Account
from edgebench.specs import DataSplit
from edgebench.training.data import grouping, test_hash
from edgebench.training.data.catalogue import find
from edgebench.training.data.dividing import check_each_class, checked, divide
from edgebench.training.data.levels import Depths
from edgebench.training.data.sources import Dataset, Decoding, Images, Splits

SPLITS = ("train", "validation", "test")
PARTS = (" for training", " for validation")


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
    split have all classes in proportion.

    Of equal images one is used; two image files are equal if their pixels are. Of a dataset's own splits, test images
    stay first and validation images next. A picture under two labels is an error, unless `rules.skip_conflicts`. Image
    files that are nearly the same, or in one group of `rules.group_by`, are in one split: a split that is cut takes
    whole groups, and beside splits that the dataset has, the others of the group are left out of training. All this
    comes before the cut: a folder without such files is cut as if nobody had looked.

    Image files are decoded once into a cache, or with `stream` at each use. With `skip_broken`, files that cannot be
    decoded are left out; otherwise BadFile names them. `test_later`: see Decoding. Pictures of more than 8 bits are
    decoded by the levels of `depths`, by default those of the training and validation images.
    `on_progress(done, total)` counts files.
    """
    if isinstance(dataset, str):
        dataset = find(dataset, data_dir)
    how = Decoding(skip_broken=skip_broken, stream=stream, test_later=test_later, on_progress=on_progress)
    cut = divide(dataset, subset, seed, how)
    raw, ledger, labels = cut.raw, cut.ledger, cut.raw.source.labels
    if depths is None:
        depths = cut.depths(keep=not stream)
    how = replace(how, levels=depths.levels)
    opened = raw.source.open(cut.rows, image_size, how)
    lost = [np.setdiff1d(rows, kept) for rows, (_, kept) in zip(cut.rows, opened, strict=True)]
    if any(map(len, lost)):  # they were changed while we looked
        ledger.leave_broken(np.concatenate(lost))
        for use, (_, rows) in zip(PARTS[: cut.per_class], opened, strict=False):  # its own validation may lack classes
            check_each_class(dataset, labels[rows], 1, ledger, use)
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


def account(
    dataset: Dataset,
    subset: str = "full",
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Account:
    """What becomes of each file of a dataset when it is split. `on_progress(done, total)` counts files."""
    cut = divide(dataset, subset, seed, Decoding(skip_broken=True, on_progress=on_progress))
    return cut.ledger.close(dict(zip(SPLITS, cut.rows, strict=True)))


@dataclass(frozen=True)
class Few:
    """By class, a few of its pictures, uint8 (n, size, size, 3)."""

    size: int
    pictures: list[np.ndarray]


def few(dataset: Dataset, subset: str, image_size: int, seed: int, *, each: int, most_classes: int) -> Few:
    """`each` pictures of the first classes, spread over those that are used; broken ones are left out."""
    how = Decoding(skip_broken=True, stream=True)
    cut = divide(dataset, subset, seed, how)
    how = replace(how, levels=cut.depths(keep=True).levels)
    labels, rows = cut.raw.source.labels, np.sort(np.concatenate(cut.rows))
    chosen = []
    for label in range(min(len(dataset.classes), most_classes)):
        own = rows[labels[rows] == label]
        chosen.append(own[np.unique(np.linspace(0, len(own) - 1, min(each, len(own))).astype(int))])
    none = np.array([], np.int64)
    pixels, kept = cut.raw.source.open((np.concatenate(chosen), none, none), image_size, how)[0]
    return Few(image_size, [pixels[np.flatnonzero(np.isin(kept, some))] for some in chosen])


def check(dataset: Dataset, subset: str) -> None:
    """Raise UsageError or BadFile if the dataset cannot have such a subset. Reads no image file."""
    checked(dataset, subset)


def digest(dataset: Dataset) -> str:
    """sha256 of a dataset's classes, labels, splits, images and file of groups, independent of where it is."""
    raw, found = dataset.read(), hashlib.sha256(repr(dataset.classes).encode())
    for rows in (raw.source.labels, raw.train, raw.validation, raw.test):
        found.update(b"|" + (b"" if rows is None else np.ascontiguousarray(rows).tobytes()))
    for part in raw.source.content():
        found.update(part)
    if dataset.rules.group_by:
        found.update(grouping.content(dataset.rules.group_by))
    return found.hexdigest()
