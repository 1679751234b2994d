"""From a dataset to three splits that share no image: the test split, the subset, and validation cut from it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.specs import DataSplit
from edgebench.training.data.catalogue import find
from edgebench.training.data.sources import Dataset, Decoding, Images, Raw, Splits
from edgebench.training.data.subset import is_validation, stratified_order, subset_count

TEST_SHARE = 0.2


def load(
    dataset: Dataset | str,
    subset: str,
    image_size: int,
    seed: int,
    *,
    data_dir: str | Path | None = None,
    skip_broken: bool = False,
    stream: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Splits:
    """Read, split, subset and resize a dataset (a name or a folder, see `find`).

    The test split is the dataset's own, or a fifth of it, stratified; it depends on the dataset alone, so that every
    seed and subset is judged on the same images. `subset` counts the labelled images used for training and, unless
    the dataset has a validation split of its own, for validation: one in eight. For one seed a smaller subset's
    training images are among those of a larger one, its validation images likewise. Each split begins with images of
    all classes in proportion. A training or validation image that is the same as a test image, byte for byte, is left
    out, as is one seen before in the dataset.

    Image files are decoded once into a cache, or with `stream` at each use. `skip_broken` leaves out files that cannot
    be decoded, which else are an error that names them; `on_progress(done, total)` counts files.
    """
    if isinstance(dataset, str):
        dataset = find(dataset, data_dir)
    raw, train, validation, test, uses = _divided(dataset, subset)
    labels, per_class, classes = raw.source.labels, len(uses), len(dataset.classes)
    own_validation = validation is not None

    before = len(train) + (len(validation) if own_validation else 0)
    train, validation = _without_copies(raw.source.identities(), train, validation, test)
    duplicates = before - len(train) - (len(validation) if own_validation else 0)
    _check_each_class(dataset, labels[train], uses, f" once {duplicates} copies are left out")
    if own_validation and not len(validation):
        raise BadFile(f"all validation images of dataset {dataset.name} are among its test images", "use others")

    count = subset_count(subset, len(train), classes, per_class)
    order, rank = stratified_order(labels[train], seed, per_class)
    chosen, rank = train[order[:count]], rank[:count]
    if own_validation:
        train, validation = chosen, validation[stratified_order(labels[validation], 0)[0]]
    else:
        train, validation = chosen[~is_validation(rank)], chosen[is_validation(rank)]
    test = test[stratified_order(labels[test], 0)[0]]

    opened, skipped = raw.source.open((train, validation, test), image_size, Decoding(skip_broken, stream, on_progress))
    if skipped:
        for use, (_, rows) in zip(uses, opened, strict=False):  # a validation split of its own needs not all classes
            _check_each_class(dataset, labels[rows], [use], f" once {len(skipped)} broken ones are left out")
        if not all(len(rows) for _, rows in opened):
            raise BadFile(f"dataset {dataset.name} has a split without any whole image", "repair its images")
    digest = hashlib.sha256()
    for _, rows in opened:
        digest.update(raw.source.names(rows) + b"|")
    sizes = [len(rows) for _, rows in opened]
    info = DataSplit(dataset.name, dataset.classes, *sizes, digest.hexdigest(), duplicates, skipped)
    return Splits(*(Images(pixels, labels[rows]) for pixels, rows in opened), info)


def check(dataset: Dataset, subset: str) -> None:
    """Raise UsageError or BadFile where the dataset cannot have such a subset. No image file is read for it."""
    _divided(dataset, subset)


def digest(dataset: Dataset) -> str:
    """sha256 of all that is in a dataset: its classes, labels and images, wherever it lies."""
    raw, found = dataset.read(), hashlib.sha256(repr(dataset.classes).encode())
    for rows in (raw.source.labels, raw.train, raw.validation, raw.test):
        found.update(b"|" + (b"" if rows is None else np.ascontiguousarray(rows).tobytes()))
    for part in raw.source.content():
        found.update(part)
    return found.hexdigest()


def _divided(
    dataset: Dataset, subset: str
) -> tuple[Raw, np.ndarray, np.ndarray | None, np.ndarray, list[str]]:  # fmt: skip
    """The dataset, its rows for training, validation (if it has such) and testing, and what the first are used for."""
    raw = dataset.read()
    labels, train, validation, test = raw.source.labels, raw.train, raw.validation, raw.test
    uses = ["to train on"] + ["for validation"] * (validation is None)
    _check_each_class(dataset, labels[train], [*uses, "for the test split"] if test is None else uses)
    if test is None:
        count = max(len(dataset.classes), math.ceil(TEST_SHARE * len(train)))
        order, _ = stratified_order(labels[train], 0, 1)
        train, test = train[order[count:]], train[order[:count]]
    for name, rows in (("validation", validation), ("test", test)):
        if rows is not None and not len(rows):
            raise BadFile(f"dataset {dataset.name} has no images in its {name} split", "add some, or delete the folder")
    subset_count(subset, len(train), len(dataset.classes), len(uses))  # a mistyped size, before files are read
    return raw, train, validation, test, uses


def _check_each_class(dataset: Dataset, labels: np.ndarray, uses: list[str], when: str = "") -> None:
    counts = np.bincount(labels, minlength=len(dataset.classes))
    poor = np.flatnonzero(counts < len(uses))
    if not len(poor):
        return
    others = f" (and {len(poor) - 1} more classes have too few)" if len(poor) > 1 else ""
    needs = " and ".join(f"one {use}" for use in uses)
    raise BadFile(
        f"class {dataset.classes[poor[0]]!r} of dataset {dataset.name} has {counts[poor[0]]} images{when}{others}: "
        f"each class needs {needs}",
        "add images to the class, or leave it out",
    )


def _without_copies(
    identities: np.ndarray, train: np.ndarray, validation: np.ndarray | None, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Training and validation rows without those that equal a test row or a row kept before, validation first."""
    taken = np.zeros(identities.max() + 1, bool)
    taken[identities[test]] = True
    kept = []
    for rows in (validation, train):
        if rows is not None:
            rows = rows[~taken[identities[rows]]]
            rows = rows[np.sort(np.unique(identities[rows], return_index=True)[1])]
            taken[identities[rows]] = True
        kept.append(rows)
    return kept[1], kept[0]
