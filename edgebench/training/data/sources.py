"""The types of a dataset: what a reader of a file layout returns, and the splits that are cut from it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edgebench.protocols import Pixels
from edgebench.records.account import Layout, LeftOut, Pictures, Reason
from edgebench.records.levels import Levels
from edgebench.specs import DataSplit
from edgebench.training.data.levels import NOT_DEEP, Depths
from edgebench.training.data.pixels import resize

IN_MEMORY_BYTES = 1 << 30  # a split larger than this once resized (all of CIFAR-10 at 224 pixels) is resized on demand
ARRAYS = Layout(kind="arrays")
FETCH_AGAIN = "fetch the dataset again: this file is truncated, or a different one"


@dataclass(frozen=True)
class Images:
    """Images (see Pixels) and their classes as int64 (n,)."""

    images: Pixels
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """A dataset cut in three; no image is in two of them. The first images of each have all classes in proportion.

    `depths`: of the training and validation images; its levels are those by which all were decoded.
    """

    train: Images
    validation: Images
    test: Images
    info: DataSplit
    depths: Depths = NOT_DEEP


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How images become pixels. `on_progress(done, total)` counts files.

    `test_later`: test images that are in memory already are resized when they are used. `levels`: for pictures of more
    than 8 bits.
    """

    skip_broken: bool = False
    stream: bool = False
    test_later: bool = False
    levels: Levels | None = None
    on_progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Which images of a source are alike: equal numbers in `same`, int64 (n,), are images of equal pixels; equal ones
    in `near` are near copies too (rescaled, compressed anew, of one burst). `near` is None for images that come as
    arrays: those are published sets, whose labels and test splits stay as they are.

    `broken`: the rows that cannot be decoded; each is unlike all others. `pictures`: what the others are.
    """

    same: np.ndarray
    near: np.ndarray | None = None
    broken: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    pictures: Pictures | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the images of folders are divided, as TrainConfig says it."""

    near_copies: bool = True
    group_by: str | None = None
    skip_conflicts: bool = False


class Source(Protocol):
    """All labelled images of a dataset, of all its splits. A row is the number of an image."""

    labels: np.ndarray  # int64 (n,)

    def alike(self, decoding: Decoding, *, near_copies: bool) -> Alike:
        """Which of the images are alike. Raises BadFile that names the broken ones, unless they are to be skipped."""

    def names(self, rows: np.ndarray) -> bytes:
        """Bytes to hash that identify these images, in this order, among those of the dataset."""

    def content(self) -> Iterator[bytes]:
        """Bytes to hash that change if and only if an image does."""

    def depths(self, rows: np.ndarray, *, keep: bool) -> Depths:
        """How deep these images are. `keep`: remember it on the disk, where finding it takes time."""

    def contents(self, rows: np.ndarray) -> list[bytes]:
        """A digest of the content of each of these images, whatever their names."""

    def open(self, splits: Sequence[np.ndarray], size: int, decoding: Decoding) -> list[tuple[Pixels, np.ndarray]]:
        """The pixels of each split with their rows, of which broken images were left out.

        splits: rows, int64 (n,) each; the last one is the test split. size: of the square images, in pixels.
        """

    def printable(self, rows: np.ndarray) -> tuple[str, ...]:
        """The names of these images, fit for a terminal."""

    def fault(self, row: int) -> Reason:
        """Why an image cannot be decoded."""


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A source, and the rows of each split that the dataset itself defines (None: it defines no such split).

    `left_out`: the files that were found beside those of the source.
    """

    source: Source
    train: np.ndarray
    validation: np.ndarray | None = None
    test: np.ndarray | None = None
    layout: Layout = ARRAYS
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset that was found. `image_size`: a good size to train at, in pixels; `flip`: whether a mirrored image
    keeps its class; `read` returns the images, which are divided by the `rules`."""

    name: str
    classes: tuple[str, ...]
    image_size: int
    flip: bool
    read: Callable[[], Raw]
    rules: Rules = Rules()


class Arrays:
    """A source in memory: uint8 images, grey (n, height, width) or RGB (n, height, width, 3); int64 labels (n,)."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = np.ascontiguousarray(images), labels

    def alike(self, decoding: Decoding, *, near_copies: bool) -> Alike:
        return Alike(same=numbered(hashlib.blake2b(image, digest_size=16).digest() for image in self.images))

    def names(self, rows: np.ndarray) -> bytes:
        return np.asarray(rows, dtype="<i8").tobytes()

    def content(self) -> Iterator[bytes]:
        yield repr(self.images.shape).encode()
        yield self.images.data

    def depths(self, rows: np.ndarray, *, keep: bool) -> Depths:
        return NOT_DEEP

    def contents(self, rows: np.ndarray) -> list[bytes]:
        return [hashlib.blake2b(self.images[row], digest_size=16).hexdigest().encode() for row in rows]

    def open(self, splits: Sequence[np.ndarray], size: int, decoding: Decoding) -> list[tuple[Pixels, np.ndarray]]:
        opened: list[tuple[Pixels, np.ndarray]] = []
        for i, rows in enumerate(splits):
            pixels = _Resized(self.images, rows, size)
            later = decoding.test_later and i == len(splits) - 1
            opened.append((pixels if later or len(rows) * size * size * 3 > IN_MEMORY_BYTES else pixels[:], rows))
        return opened

    def printable(self, rows: np.ndarray) -> tuple[str, ...]:
        return tuple(f"image {row}" for row in rows)

    def fault(self, row: int) -> Reason:
        return "broken"


class _Resized:
    """Some images of an array, resized each time they are used."""

    def __init__(self, images: np.ndarray, rows: np.ndarray, size: int) -> None:
        self._images, self._rows, self._size = images, rows, size

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        images = self._images[self._rows[rows]]
        if images.ndim == 3:
            images = np.repeat(images[..., None], 3, axis=3)
        return resize(images, self._size)


def numbered(keys: Iterable[object]) -> np.ndarray:
    """int64 (n,): equal numbers for equal keys."""
    seen: dict[object, int] = {}
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), np.int64)
