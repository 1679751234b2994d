"""Which images are used: sizes as the user writes them, and the one order of the images that every subset starts."""

from __future__ import annotations

import math

import numpy as np

from edgebench.errors import UsageError

VALIDATION_EVERY = 8  # of each class, one image in eight chooses the checkpoint
_KEY_BITS = 64


def subset_count(subset: str, available: int, classes: int, per_class: int = 2) -> int:
    """How many images "full", "500" or "0.1" of `available` means. Raises UsageError where that cannot be had.

    `per_class` is what each class needs: one image to train on and, unless the dataset has a validation split of its
    own, one to choose the checkpoint by.
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
        raise UsageError(f"subset {subset!r} is no size", 'give "full", a number of images (500) or a share (0.1)')
    count = round(number * available) if is_share else int(number)
    if count > available:
        raise UsageError(
            f"a subset of {count} images is larger than the {available} that the dataset has for training",
            f"give at most --subset {available}, or --subset full",
        )
    if count < least:
        needs = "one image to train on" + (" and one for validation" if per_class == 2 else "")
        raise UsageError(
            f"a subset of {count} images is too small for {classes} classes: each needs {needs}",
            f"give at least --subset {least}",
        )
    return count


def stratified_order(labels: np.ndarray, seed: int, per_class: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """An order of the images of which every start is a stratified subset, so that smaller subsets lie in larger ones.

    labels: int64 (n,). Returns two int64 (n,): positions in `labels`, and the rank of each within its class, at random.
    First come `per_class` images of each class. Beyond these, the order is that of Sainte-Laguë's method of
    apportionment (Balinski and Young, Fair Representation, 1982): the image of rank k in a class of n has the key
    (k + 1/2) / n. Each class then holds its share rounded to a whole image, up to a common factor near 1; classes of
    like size are within one image of it. Ties are broken by the seed.
    """
    random = np.random.default_rng(seed)
    counts = np.bincount(labels)
    room = _KEY_BITS - len(labels).bit_length()  # of a key, beside a position
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
    """The positions int64 (n,) that sort uint64 keys; of equal ones the first comes first.

    Key and position are sorted as one integer: several times faster than an argsort. Keys have to leave its bits free.
    """
    bits = np.uint64(len(keys).bit_length())
    packed = keys << bits
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    return (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)


def is_validation(rank: np.ndarray) -> np.ndarray:
    """Whether the image of this rank in its class is for validation: the second of a class, and one in eight on."""
    return rank % VALIDATION_EVERY == 1
