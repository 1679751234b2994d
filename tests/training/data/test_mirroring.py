"""Mirrored images whose class is a side: they are found by their neighbours, and only they."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import random_images

from edgebench.training.data.mirroring import swapped
from edgebench.training.data.sources import Images


def spots(columns: list[int], each: int = 20, seed: int = 0) -> Images:
    """A class for each column: a bright spot there, at any height, in noise."""
    random = np.random.default_rng(seed)
    images = random.normal(60, 12, (len(columns) * each, 24, 24, 3))
    labels = np.tile(np.arange(len(columns)), each)
    for image, label in zip(images, labels, strict=True):
        top, left = random.integers(0, 18), columns[label] + random.integers(-2, 3)
        image[top : top + 6, left : left + 6] = 230
    return Images(images.clip(0, 255).astype(np.uint8), labels)


@pytest.mark.parametrize(
    ("columns", "pair"), [([2, 16], (0, 1)), ([16, 9, 2], (0, 2)), ([9], None), ([9, 9], None), ([3, 9], None)]
)
def test_classes_that_are_sides_are_found(columns: list[int], pair: tuple[int, int] | None) -> None:
    assert swapped(spots(columns)) == pair


@pytest.mark.parametrize("seed", range(4))
def test_noise_and_colours_have_no_sides(seed: int) -> None:
    images, labels = random_images(60, 24, seed=seed), np.arange(60) % 2
    assert swapped(Images(images, labels)) is None
    assert swapped(Images(images // 4 + labels.astype(np.uint8)[:, None, None, None] * 100, labels)) is None


def test_one_background_for_all_classes_is_no_side() -> None:
    """As of a camera that does not move: mirrored, an image is like none of the others."""
    background, labels = random_images(1, 24)[0].astype(int), np.arange(60) % 2
    images = np.stack([background + np.random.default_rng(i).integers(-9, 9, background.shape) for i in range(60)])
    images[labels == 1, 4:10, 9:15] = 255
    assert swapped(Images(images.clip(0, 255).astype(np.uint8), labels)) is None


def test_few_images_say_nothing() -> None:
    assert swapped(spots([2, 16], each=5)) is None
