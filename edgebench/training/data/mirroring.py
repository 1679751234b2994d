"""Whether a mirrored image keeps its class: not where classes are sides, such as a spot at the left or at the right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgebench.records.recipe import TrainConfig
from edgebench.training.data.pixels import resize
from edgebench.training.data.sources import Images, Splits

LOOKED_AT = 512  # training images; the first ones have all classes in proportion
SIDE = 16  # pixels: where things are shows there too
LEAST = 8  # images of a class: fewer say nothing
SURE = 0.8  # share of a class


def settled(config: TrainConfig, asked: bool | None, splits: Splits, say: Callable[[str], None]) -> TrainConfig:
    """The config without `flip` if mirrored training images of two classes look like each other's, and this is said.

    `asked`: what the user gave for `flip`, which stays; None if nothing.
    """
    if asked is not None or not config.flip or not (pair := swapped(splits.train)):
        return config
    one, other = (splits.info.classes[label] for label in pair)
    say(f"mirrored images of class {one!r} look like class {other!r}: images are not mirrored (--flip does)")
    return replace(config, flip=False)


def swapped(train: Images) -> tuple[int, int] | None:
    """Two classes of which nearly every image is nearest to one of its own class, and mirrored to one of the other."""
    labels = train.labels[:LOOKED_AT]
    if len(labels) < 2 * LEAST:
        return None
    pixels = resize(np.ascontiguousarray(train.images[:LOOKED_AT]), SIDE).astype(np.float32)
    plain, mirrored = (_nearest(images, pixels, labels) for images in (pixels, pixels[:, :, ::-1]))
    goes: dict[int, int] = {}
    for label in np.flatnonzero(np.bincount(labels) >= LEAST):
        own, seen = plain[labels == label], np.bincount(mirrored[labels == label])
        other = int(seen.argmax())
        if other != label and (own == label).mean() >= SURE and seen[other] >= SURE * len(own):
            goes[int(label)] = other
    return next(((one, other) for one, other in goes.items() if goes.get(other) == one), None)


def _nearest(images: np.ndarray, among: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label of the image that each is nearest to, itself left out."""
    a, b = (each.reshape(len(each), -1) for each in (images, among))
    distances = (b**2).sum(1)[None] - 2 * a @ b.T
    np.fill_diagonal(distances, np.inf)
    return labels[distances.argmin(1)]
