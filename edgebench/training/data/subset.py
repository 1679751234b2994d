"""Chooses the images of a subset: how many, which ones, and which of them are for validation."""

from __future__ import annotations

import math

import numpy as np

from edgebench.errors import UsageError

VALIDATION_EVERY = 8  # one image in eight of each class is for validation, which chooses the best epoch
_KEY_BITS = 64


def subset_count(subset: str, available: int, classes: int, per_class: int = 2) -> int:
    """How many images "full", "500" or "0.1" of `available` means. Raises UsageError if that is impossible.

    `per_class`: images that each class needs, 2 (for training and validation), or 1 if the dataset has its own
    validation split.
    """
    least = per_class * classes
    if subset == "full":
        return available
    try:
        number = float(subset)
    except ValueError:
        number = math.nan
    is_share = "." in subset or "e" in subset.lower()
    if not math.isfinite(number) or number <= 0 or (is_share and number > 1):
        raise UsageError(f"subset {subset!r} is not a size", 'give "full", a number of images (500) or a share (0.1)')
    count = round(number * available) if is_share else int(number)
    if count > available:
        raise UsageError(
            f"a subset of {count} images is larger than the {available} training images of the dataset",
            f"give at most --subset {available}, or --subset full",
        )
    if count < least:
        raise UsageError(
            f"a subset of {count} images is too small for {classes} classes: each class needs at least {per_class}",
            f"give at least --subset {least}",
        )
    return count


def stratified_order(labels: np.ndarray, seed: int, per_class: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """An order of the images: its first n are a stratified subset for every n, so smaller subsets lie in larger ones.

    labels: int64 (n,). Returns two int64 (n,): positions in `labels`, and the rank of each within its class, at random.
    First come `per_class` images of each class. The rest is in the order of Sainte-Laguë's method of apportionment
    (Balinski and Young, Fair Representation, 1982): the image of rank k in a class of n has the key (k + 1/2) / n.
    Each class then gets its share rounded to a whole image, up to a common factor near 1; classes of similar size
    differ from it by at most one image. The seed breaks ties.
    """
    random = np.random.default_rng(seed)
    counts = np.bincount(labels)
    room = _KEY_BITS - len(labels).bit_length()  # bits of a key that the position leaves free
    chance_bits = room - len(counts).bit_length()
    chance = random.integers(0, 1 << chance_bits, len(labels), dtype=np.uint64)
    grouped = _order(labels.astype(np.uint64) << np.uint64(chance_bits) | chance)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    tie = (random.permutation(len(counts)) / len(counts) - 0.5) / 50  # a hundredth of an image at most
    key = (rank + (0.5 + np.repeat(tie, counts))) / np.repeat(counts, counts)
    key[rank >= per_class] += 1
    order = _order((key * (1 << (room - 1))).astype(np.uint64))
    return grouped[order], rank[order]


def _order(keys: np.ndarray) -> np.ndarray:
    """The positions int64 (n,) that sort uint64 keys; equal keys stay in their order.

    Key and position are sorted as one integer, several times faster than an argsort. The keys must leave the bits of
    the position free.
    """
    bits = np.uint64(len(keys).bit_length())
    packed = keys << bits
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    return (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)


def is_validation(rank: np.ndarray) -> np.ndarray:
    """Whether the image of this rank in its class is for validation: the second of each class, then every eighth."""
    return rank % VALIDATION_EVERY == 1
