"""What a dataset is: its name and nature, its images as they lie on disk or in memory, and the splits cut from them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgebench.protocols import Pixels
from edgebench.specs import DataSplit
from edgebench.training.data.pixels import resize

IN_MEMORY_BYTES = 1 << 30  # a split that is larger once resized (all of CIFAR-10 at 224 pixels) is resized on demand


@dataclass(frozen=True)
class Images:
    """Images (see Pixels) and their classes as int64 (n,)."""

    images: Pixels
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """A dataset cut in three; no image is in two of them. The start of each holds the classes in proportion."""

    train: Images
    validation: Images
    test: Images
    info: DataSplit


@dataclass(frozen=True)
class Decoding:
    """How image files become pixels. `on_progress(done, total)` counts files."""

    skip_broken: bool = False
    stream: bool = False
    on_progress: Callable[[int, int], None] = lambda done, total: None


class Source(Protocol):
    """All labelled images of a dataset, whatever split they belong to. A row is the number of an image."""

    labels: np.ndarray  # int64 (n,)

    def identities(self) -> np.ndarray:
        """int64 (n,): the same number for images that are the same, byte for byte, and for no others."""

    def names(self, rows: np.ndarray) -> bytes:
        """What tells these images, in this order, from any others of the dataset; to be hashed."""

    def content(self) -> Iterator[bytes]:
        """What changes if and only if an image does; to be hashed."""

    def open(
        self, splits: Sequence[np.ndarray], size: int, decoding: Decoding
    ) -> tuple[list[tuple[Pixels, np.ndarray]], tuple[str, ...]]:
        """The pixels of each split and the rows that they are of, and the names of the broken images left out."""


@dataclass(frozen=True)
class Raw:
    """A source, and which of its rows the dataset itself sets apart (None: it does not)."""

    source: Source
    train: np.ndarray
    validation: np.ndarray | None = None
    test: np.ndarray | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset that was found. `image_size` is a good size to train at, in pixels; `flip` says whether a mirrored
    image keeps its class; `read` gives the images."""

    name: str
    classes: tuple[str, ...]
    image_size: int
    flip: bool
    read: Callable[[], Raw]


class Arrays:
    """A source in memory: uint8 images, grey (n, height, width) or RGB (n, height, width, 3); int64 labels (n,)."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = np.ascontiguousarray(images), labels

    def identities(self) -> np.ndarray:
        return numbered(hashlib.blake2b(image, digest_size=16).digest() for image in self.images)

    def names(self, rows: np.ndarray) -> bytes:
        return np.asarray(rows, dtype="<i8").tobytes()

    def content(self) -> Iterator[bytes]:
        yield repr(self.images.shape).encode()
        yield self.images.data

    def open(
        self, splits: Sequence[np.ndarray], size: int, decoding: Decoding
    ) -> tuple[list[tuple[Pixels, np.ndarray]], tuple[str, ...]]:
        opened = []
        for rows in splits:
            pixels: Pixels = _Resized(self.images, rows, size)
            opened.append((pixels if len(rows) * size * size * 3 > IN_MEMORY_BYTES else pixels[:], rows))
        return opened, ()


class _Resized:
    """Some images of an array, resized each time they are asked for."""

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
