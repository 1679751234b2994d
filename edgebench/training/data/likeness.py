"""Which picture files are alike: equal pixels however they are encoded, and near copies, from the facts of a scan."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgebench.records.account import Pictures, Spread
from edgebench.training.data import scanning
from edgebench.training.data.decoding import File
from edgebench.training.data.looking import THUMB
from edgebench.training.data.scanning import Scan
from edgebench.training.data.sources import Alike

VERSION = 2  # of the rules below: another number compares again
WORDS = 8  # of 16 bits each, in the two hashes of a picture: two are compared if one of the words is equal …
NEIGHBOURS = 16  # … and if they are so close in the order of those hashes: where many are equal, not all are compared
FAR_BITS = 24  # of 128: hashes that differ in more are of different pictures; those of near copies differed in up to 16
AT_ONCE = 1 << 14  # thumbnails that are compared together
# Near copies: their pictures of 8 × 8 pixels, brightness and contrast apart, differ by at most this share of their
# contrast. With this, one in a hundred of 10,000 training images of Fashion-MNIST, which look much alike, is paired
# with another (docs/results.md). Two are of different things where the difference, now of the thumbnails, is in one
# place: more than so many times as much there, and more than half of the contrast.
MOST_DIFFERENT = 0.08
IN_ONE_PLACE = 10.0
LEAST_THERE = 0.5
SIDE = 8  # pixels of the pictures by which two are compared: fewer hide what compressing and resizing change
LEAST_CONTRAST = 4.0  # grey values: plain pictures say too little to be near copies
HUGE = 50  # pictures: a larger group is made of pictures that are twice as close, so that no chain leads too far


def alike(
    root: Path, files: Sequence[File], on_progress: Callable[[int, int], None], *, near_copies: bool = True
) -> tuple[Alike, dict[int, str]]:
    """Compare the files of a folder with each other; also by row why a file is broken. It is kept beside the scan.

    Without `near_copies`, only equal pictures are found. That takes half the time, but misses that a JPEG of more than
    LEAST_DRAFT pixels equals a picture of another format.
    """
    if not len(files):
        return Alike(same=np.zeros(0, np.int64), near=np.zeros(0, np.int64)), {}
    scan = scanning.scan(root, files, on_progress, near=near_copies)
    broken = np.array(sorted(scan.reasons), np.int64)
    path = scan.path.with_suffix(f".{'alike' if near_copies else 'same'}{VERSION}")
    with contextlib.suppress(*scanning.DAMAGED):
        same, near = scanning.members(path, "same", "near")
        if len(same) == len(near) == len(files):
            return Alike(same=same, near=near, broken=broken, pictures=_pictures(scan.facts)), scan.reasons
    pairs, differences = np.zeros((0, 2), np.int64), np.zeros(0)
    if near_copies:
        pairs, differences = near_pairs(scan.facts, scan.thumbs())
    same = _same(root, files, scan, pairs)
    near = grouped(same, pairs, differences)
    scanning.write(path, same=same, near=near)
    return Alike(same=same, near=near, broken=broken, pictures=_pictures(scan.facts)), scan.reasons


def _pictures(facts: np.ndarray) -> Pictures | None:
    """What the pictures are that could be decoded."""
    found = facts[~facts["broken"]]
    if not len(found):
        return None
    deep = found[found["bits"] > 8]

    def counts(values: np.ndarray) -> dict[str, int]:
        kinds, many = np.unique(values, return_counts=True)
        return {str(kinds[i]): int(many[i]) for i in np.argsort(-many)}

    values = np.concatenate([deep["low"], deep["high"]])
    return Pictures(
        widths=_spread(found["width"]), heights=_spread(found["height"]), modes=counts(found["mode"].astype(str)),
        bits=counts(found["bits"]), values=_spread(values) if len(deep) else None,
    )  # fmt: skip


def _spread(values: np.ndarray) -> Spread:
    return Spread(least=float(values.min()), median=float(np.median(values)), most=float(values.max()))


def _same(root: Path, files: Sequence[File], scan: Scan, pairs: np.ndarray) -> np.ndarray:
    """Equal numbers for equal pixels. JPEGs that were decoded small are decoded in full if they may equal another."""
    facts = scan.facts.copy()
    size = facts["width"].astype(np.uint64) << np.uint64(32) | facts["height"]
    drafts = np.flatnonzero(~facts["exact"] & ~facts["broken"])
    numbers = _numbers(size[drafts], *facts["pixels"][drafts].T)
    wanted = np.zeros(len(facts), bool)
    wanted[drafts] = np.bincount(numbers)[numbers] > 1
    first, second = pairs.T
    mixed = (size[first] == size[second]) & (facts["exact"][first] != facts["exact"][second])
    wanted[pairs[mixed].ravel()] = True
    rows = drafts[wanted[drafts]]
    if len(rows):
        found, _, _ = scanning.looked_at([root / files[row].name for row in rows], exact=True, near=False)
        facts["pixels"][rows], facts["exact"][rows] = found["pixels"], ~found["broken"]
    alone = facts["broken"] | ~facts["exact"]  # a JPEG that was not decoded in full is unlike all others
    own = np.where(alone, np.arange(len(facts)) + 1, 0)
    return _numbers(own, *np.where(alone[:, None], 0, facts["pixels"]).T)


def _numbers(*columns: np.ndarray) -> np.ndarray:
    """int64 (n,): equal numbers for rows that are equal in all columns."""
    order = np.lexsort(columns)
    new = np.zeros(len(order), bool)
    for column in columns:
        new[1:] |= np.diff(column[order]) != 0
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(new)
    return numbers


def near_pairs(facts: np.ndarray, thumbs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows that are near copies, int64 (m, 2), and how much each differs (see MOST_DIFFERENT).

    Pairs that agree in one band of the hashes, and are close in the order by the bits from there on, are compared: so
    the time is in proportion to the pictures, however many are alike.
    """
    cuts = [slice(start, start + AT_ONCE) for start in range(0, len(thumbs), AT_ONCE)]
    parts = [thumbs[cut].mean(axis=3, dtype=np.float32).std(axis=(1, 2)) for cut in cuts]
    rows = np.flatnonzero(~facts["broken"] & (np.concatenate([*parts, []]) >= LEAST_CONTRAST))
    words = np.ascontiguousarray(facts["hashes"][rows]).view("<u2").reshape(len(rows), WORDS)
    found = [np.zeros(0, np.uint64)]
    for band in range(WORDS):
        turned = np.roll(words, -band, axis=1)
        order = np.lexsort(turned.T[::-1])
        for step in range(1, min(NEIGHBOURS, len(rows) - 1) + 1):
            close = turned[order[:-step], 0] == turned[order[step:], 0]
            a, b = order[:-step][close], order[step:][close]
            near = _bits(words[a] ^ words[b]) <= FAR_BITS
            found.append(_packed(a[near], b[near]))
    packed = np.unique(np.concatenate(found))
    pairs = np.stack([packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF)], axis=1).astype(np.int64)
    pairs = rows[pairs].reshape(-1, 2)
    small = np.concatenate(
        [np.zeros((0, SIDE * SIDE * 3), np.float32), *(_evened(_small(thumbs[cut])) for cut in cuts)]
    )
    parts = [pairs[start : start + AT_ONCE] for start in range(0, len(pairs), AT_ONCE)]
    differences = np.concatenate([_differences(thumbs, small, part) for part in parts] or [np.zeros(0, np.float32)])
    near = differences <= MOST_DIFFERENT
    return pairs[near], differences[near]


def _packed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two rows as one number, the smaller one first."""
    return np.minimum(a, b).astype(np.uint64) << np.uint64(32) | np.maximum(a, b).astype(np.uint64)


ONES = np.array([bin(value).count("1") for value in range(1 << 16)], np.uint8)


def _bits(words: np.ndarray) -> np.ndarray:
    """How many bits are set in each row of uint16."""
    return ONES[words].sum(axis=1, dtype=np.int64)


def _differences(thumbs: np.ndarray, small: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """How much the two of each pair differ, as a share of their contrast; infinite if a part of them differs far more
    than the rest, as where one thing was put before the same background. `small`: thumbnails of 8 × 8, evened."""
    share = _deviation(small[pairs[:, 0]] - small[pairs[:, 1]])
    near = np.flatnonzero(share <= MOST_DIFFERENT)
    first, second = (_evened(thumbs[rows]) for rows in pairs[near].T)
    apart = np.abs(first - second)
    most = apart.max(axis=1, initial=0)
    share[near[(most > IN_ONE_PLACE * _deviation(apart)) & (most > LEAST_THERE)]] = np.inf
    return share


def _small(thumbs: np.ndarray) -> np.ndarray:
    """float32 (n, 8, 8, 3)."""
    step = THUMB // SIDE
    return thumbs.reshape(len(thumbs), SIDE, step, SIDE, step, 3).mean(axis=(2, 4), dtype=np.float32)


def _deviation(values: np.ndarray) -> np.ndarray:
    return np.sqrt((values**2).mean(axis=1))


def _evened(thumbs: np.ndarray) -> np.ndarray:
    """Thumbnails as float32 (n, values) without their brightness and contrast."""
    values = thumbs.reshape(len(thumbs), math.prod(thumbs.shape[1:])).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values / np.maximum(values.std(axis=1, keepdims=True), 1e-3)


def grouped(same: np.ndarray, pairs: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Equal numbers for pictures that a chain of near copies connects; of long chains, only closer links hold."""
    groups = connected(same, pairs)
    sizes = np.bincount(groups)
    kept = (sizes[groups[pairs[:, 0]]] <= HUGE) | (differences <= MOST_DIFFERENT / 2)
    return groups if kept.all() else connected(same, pairs[kept])


def connected(groups: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The numbers of groups, int64 (n,), after those of the two rows of each pair became one group."""
    label = np.arange(int(groups.max(initial=-1)) + 1)
    a, b = groups[pairs[:, 0]], groups[pairs[:, 1]]
    while True:
        least = np.minimum(label[a], label[b])
        new = label.copy()
        np.minimum.at(new, label[a], least)
        np.minimum.at(new, label[b], least)
        new = new[new]
        if (new == label).all():
            break
        label = new
    return np.unique(label[groups], return_inverse=True)[1].ravel().astype(np.int64)
