"""TrivialAugment and RandAugment: which operations an image gets, and at which strength."""

from __future__ import annotations

import torch

from edgebench.training.augment.operations import OPERATIONS, apply

STRENGTHS = 31  # in both papers and torchvision: 0 is none, 30 the greatest
ONE_WAY = {"posterize", "solarize"}  # the others are applied in the negative direction half of the time


def trivial(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """TrivialAugmentWide: one operation and one strength per image, both uniformly at random.

    Müller & Hutter, "TrivialAugment: Tuning-free yet state-of-the-art data augmentation", ICCV 2021, table 6 (wide).
    The values are those of torchvision's TrivialAugmentWide, except that a side below 32 pixels limits translation.
    `images` (N, 3, H, W), uint8.
    """
    height, width = images.shape[2:]
    greatest = {
        "shear_x": 0.99, "shear_y": 0.99, "rotate": 135, "posterize": 6, "solarize": 256,
        "translate_x": min(32, width), "translate_y": min(32, height),
        "brightness": 0.99, "color": 0.99, "contrast": 0.99, "sharpness": 0.99,
    }  # fmt: skip
    strengths = torch.randint(STRENGTHS, (len(images),), generator=generator)
    return _one_each(images, greatest, strengths, generator)


def rand(images: torch.Tensor, generator: torch.Generator, operations: int = 2, magnitude: int = 9) -> torch.Tensor:
    """RandAugment: `operations` in turn for each image, uniformly at random, all at strength `magnitude` (0 to 30).

    Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", NeurIPS 2020. The
    ranges and the defaults are those of torchvision's RandAugment. `images` (N, 3, H, W), uint8.
    """
    height, width = images.shape[2:]
    greatest = {
        "shear_x": 0.3, "shear_y": 0.3, "rotate": 30, "posterize": 4, "solarize": 256,
        "translate_x": 150 / 331 * width, "translate_y": 150 / 331 * height,
        "brightness": 0.9, "color": 0.9, "contrast": 0.9, "sharpness": 0.9,
    }  # fmt: skip
    strengths = torch.full((len(images),), magnitude)
    for _ in range(operations):
        images = _one_each(images, greatest, strengths, generator)
    return images


def _one_each(
    images: torch.Tensor, greatest: dict[str, float], strengths: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """One operation for each image. `strengths` (N,): 30 means the `greatest` magnitude of the operation."""
    drawn = torch.randint(len(OPERATIONS), (len(images),), generator=generator)
    signs = torch.randint(2, (len(images),), generator=generator) * 2 - 1
    limits = torch.tensor([float(greatest.get(name, 0)) for name in OPERATIONS], dtype=torch.float64)
    one_way = torch.tensor([name in ONE_WAY for name in OPERATIONS])
    magnitudes = limits[drawn] * strengths / (STRENGTHS - 1)
    return apply(images, drawn, torch.where(one_way[drawn], magnitudes, magnitudes * signs))
