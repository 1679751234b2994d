"""Datasets in memory, and the stratified split that keeps train, validation and test apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgebench.errors import UsageError, unknown_name
from edgebench.specs import DataSplit

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.125


@dataclass(frozen=True)
class Images:
    """Images as uint8 (n, height, width, 3) and their classes as int64 (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """A dataset cut in three; no image is in two of them."""

    train: Images
    validation: Images
    test: Images
    info: DataSplit


@dataclass(frozen=True)
class Dataset:
    """A named dataset: `load` gives all its images at their own size, `image_size` is a good size to train at."""

    classes: tuple[str, ...]
    image_size: int
    load: Callable[[], Images]


def _digits() -> Images:
    """scikit-learn's 1,797 handwritten digits (UCI optdigits test set): 8 × 8 grey values from 0 to 16."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return Images(np.repeat(grey[..., None], 3, axis=3), digits.target.astype(np.int64))


# 64 pixels, although the digits have 8: a MobileNetV3 halves its input five times, and at 32 it ends on a single
# pixel and loses about two points of accuracy.
DATASETS = {"digits": Dataset(tuple("0123456789"), 64, _digits)}


def find(name: str) -> Dataset:
    """The dataset of this name. Raises UsageError that offers the closest ones."""
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    return DATASETS[name]


def subset_count(subset: str, available: int, classes: int) -> int:
    """How many images "full", "500" or "0.1" of `available` means. Raises UsageError where that cannot be had."""
    least = 2 * classes  # one image a class to train on and one to choose the checkpoint by
    if subset == "full":
        return available
    try:
        number = float(subset)
    except ValueError:
        number = math.nan
    is_share = "." in subset or "e" in subset.lower()
    if not math.isfinite(number) or number <= 0 or (is_share and number > 1):
        raise UsageError(f"subset {subset!r} is no size", 'give "full", a number of images (500) or a share (0.1)')
    count = round(number * available) if is_share else int(number)
    if count > available:
        raise UsageError(
            f"a subset of {count} images is larger than the {available} that the dataset has for training",
            f"give at most --subset {available}, or --subset full",
        )
    if count < least:
        raise UsageError(
            f"a subset of {count} images is too small for {classes} classes: "
            "each needs one image to train on and one for validation",
            f"give at least --subset {least}",
        )
    return count


def load(name: str, subset: str, image_size: int, seed: int) -> Splits:
    """Load, subset, split and resize a dataset.

    The test split depends on the dataset alone, so that every seed and subset is judged on the same images. `subset`
    counts all labelled images that are used, so the validation images come out of it.
    """
    from sklearn.model_selection import train_test_split

    dataset = find(name)
    data = dataset.load()
    everything = np.arange(len(data))
    pool, test = train_test_split(everything, test_size=TEST_SHARE, stratify=data.labels, random_state=0)
    classes = len(dataset.classes)
    count = subset_count(subset, len(pool), classes)
    if count < len(pool):
        pool, _ = _stratified(pool, data.labels, count, classes, seed)
    validation_count = max(classes, round(VALIDATION_SHARE * count))
    train, validation = _stratified(pool, data.labels, count - validation_count, classes, seed)

    digest = hashlib.sha256()
    for part in (train, validation, test):
        digest.update(np.asarray(part, dtype="<i8").tobytes() + b"|")
    info = DataSplit(name, dataset.classes, len(train), len(validation), len(test), digest.hexdigest())
    parts = [Images(resize(data.images[part], image_size), data.labels[part]) for part in (train, validation, test)]
    return Splits(*parts, info)


def _stratified(
    pool: np.ndarray, labels: np.ndarray, count: int, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut `count` images off the pool, class by class in proportion; the rest comes second."""
    from sklearn.model_selection import train_test_split

    if len(pool) - count < classes:  # scikit-learn wants a whole stratum on each side
        order = np.random.default_rng(seed).permutation(len(pool))
        return pool[order[:count]], pool[order[count:]]
    return tuple(train_test_split(pool, train_size=count, stratify=labels[pool], random_state=seed))


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 (n, h, w, 3) → uint8 (n, size, size, 3), bilinear with antialiasing, as `Preprocessing` says."""
    from PIL import Image

    if images.shape[1:3] == (size, size):
        return images
    small = [Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR) for image in images]
    return np.stack([np.asarray(image) for image in small])
