"""The size of images: what fits the data and the time, and the smaller ones that a training may begin with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgebench.records.recipe import TrainConfig
from edgebench.training.data.decoding import usual_side

if TYPE_CHECKING:
    from torch import nn

    from edgebench.training.data import Dataset

LEAST, MOST = 32, 224  # pixels of images whose usual size decides
SAMPLED = 64  # how many files of a folder are looked at
SIZES = (224, 192, 160, 128, 96)  # learned weights know objects of many pixels: a larger copy of a small image helps
EPOCHS = 5  # that have to fit: larger images bring more than more epochs
TRIED = 128  # pixels at which a step is timed: the time goes with the pixels
IMAGES = 16
KEPT_S = 15.0  # for all else
LEAST_SIZE = 16  # pixels a side: what is smaller shows little
SMALLER = (1 / 2, 3 / 4)  # of the side: the sizes of progressive training before the full one


def usual(dataset: Dataset) -> int:
    """In pixels, for a network that begins with random weights: the dataset's own size; for a folder of image files the
    median of their shorter sides, a multiple of 8 from LEAST to MOST."""
    source = dataset.read().source
    if not (files := getattr(source, "files", None)):
        return dataset.image_size
    some = files[:: max(1, len(files) // SAMPLED)]
    side = usual_side([source.root / file.name for file in some]) or MOST
    return min(MOST, max(LEAST, side // 8 * 8))


def enlarged(
    network: nn.Module, *, train: int, judged: int, left_s: float, clock: Callable[[], float] = time.monotonic
) -> int:
    """The largest of SIZES at which a training of `train` images and `judged` answers fit into `left_s`.

    `network` is thrown away after a few steps of it. The smallest if none fits.
    """
    import torch
    import torch.nn.functional as F

    images = torch.zeros(IMAGES, 3, TRIED, TRIED).contiguous(memory_format=torch.channels_last)
    network = network.to(memory_format=torch.channels_last)
    step_s, answer_s = [], []
    for _ in range(3):
        network.train()
        began = clock()
        F.cross_entropy(network(images), torch.zeros(IMAGES, dtype=torch.int64)).backward()
        step_s.append(clock() - began)
        network.eval()
        with torch.no_grad():
            began = clock()
            network(images)
            answer_s.append(clock() - began)
    needed = (EPOCHS * train * min(step_s) + (judged + 3 * train) * min(answer_s)) / IMAGES
    return largest(needed, TRIED, left_s - KEPT_S)


def largest(needed_s: float, pixels: int, left_s: float, among: Sequence[int] = SIZES) -> int:
    """The largest size that fits into `left_s` for what takes `needed_s` at `pixels` a side; else the smallest."""
    fitting = [size for size in among if needed_s * (size / pixels) ** 2 <= left_s]
    return max(fitting, default=min(among))


def image_sizes(config: TrainConfig) -> tuple[int, ...]:
    """The pixels a side of a training's images, in their order."""
    full = config.image_size
    smaller = (round(full * share / 8) * 8 for share in SMALLER) if config.progressive else ()
    return (*(size for size in smaller if LEAST_SIZE <= size < full), full)


def image_size_at(config: TrainConfig, progress: float) -> int:
    """The pixels a side at the share `progress` of the training."""
    *smaller, full = image_sizes(config)
    if not smaller or progress >= config.progressive - 1e-9:
        return full
    return smaller[int(progress / config.progressive * len(smaller) + 1e-9)]
