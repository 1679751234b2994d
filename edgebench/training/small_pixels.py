"""Images shrunk to 8 and 16 pixels, as the methods of the floor take them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgebench.protocols import Pixels
from edgebench.training.data import Images

SIDES = (16, 8)  # pixels; each is a whole multiple of the next
BLOCK_BYTES = 1 << 25  # images that are read at once


@dataclass(frozen=True, kw_only=True)
class SmallImages:
    """The first images of a split, shrunk. `pixels`: by side, float32 (n, values) in [0, 1]; `labels`: int64 (n,)."""

    pixels: dict[int, np.ndarray]
    labels: np.ndarray
    grey: bool

    def __len__(self) -> int:
        return len(self.labels)

    def in_grey(self) -> SmallImages:
        """With one channel instead of three, which are the same in a grey image."""
        return SmallImages(
            pixels={side: np.ascontiguousarray(p[:, ::3]) for side, p in self.pixels.items()}, labels=self.labels,
            grey=True,
        )  # fmt: skip

    def hash_into(self, digest: hashlib._Hash) -> None:
        digest.update(np.ascontiguousarray(self.labels, "<i8").tobytes() + b"|")
        digest.update(self.pixels[max(self.pixels)].data)


def read(split: Images, most: int, enough: Callable[[], bool]) -> SmallImages:
    """Shrink the first `most` images of a split; of these the first ones, at least one block, if `enough` says so.

    Images that are mapped or decoded on demand are read a block at a time.
    """
    count = min(most, len(split))
    blocks: list[dict[int, np.ndarray]] = []
    grey, done = True, 0
    while done < count and not (blocks and enough()):
        images = _block(split.images, done, count)
        grey = grey and bool((images[..., 0] == images[..., 1]).all() and (images[..., 1] == images[..., 2]).all())
        blocks.append(_shrunk(images))
        done += len(images)
    pixels = {side: np.concatenate([block[side] for block in blocks]) for side in blocks[0]}
    return SmallImages(pixels=pixels, labels=split.labels[:done], grey=grey)


def _block(images: Pixels, start: int, count: int) -> np.ndarray:
    first = images[start : start + 1]
    size = max(1, BLOCK_BYTES // (4 * first.nbytes))  # they become floats
    return np.asarray(images[start : min(start + size, count)])


def _shrunk(images: np.ndarray) -> dict[int, np.ndarray]:
    """By side, the flat pixels; images that are smaller already keep their size."""
    found, values = {}, images.astype(np.float32) / np.float32(255)
    for side in SIDES:
        values = shrink(values, min(side, values.shape[1]))
        found[side] = values.reshape(len(values), -1)
    return found


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """float32 (n, h, h, c) → (n, side, side, c): each new pixel is the mean of the area that it covers."""
    n, size, _, channels = images.shape
    if side == size:
        return images
    weights = _area_weights(size, side)
    rows = weights @ images.reshape(n, size, size * channels)
    columns = weights @ rows.reshape(n * side, size, channels)
    return columns.reshape(n, side, side, channels)


def _area_weights(size: int, side: int) -> np.ndarray:
    """float32 (side, size): the share of each new pixel that an old one covers."""
    edges = np.arange(side + 1) * (size / side)
    old = np.arange(size)
    covered = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return (covered.clip(0) * (side / size)).astype(np.float32)
