"""Mixes the images and labels of a batch in pairs: mixup and CutMix."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F


def mix(
    images: torch.Tensor,
    labels: torch.Tensor,
    generator: torch.Generator,
    *,
    classes: int,
    mixup: float = 0.0,
    cutmix: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each of `images` (N, C, H, W), float, with another of the batch: λ of it, 1 − λ of the other.

    `mixup` and `cutmix` are the α of λ ~ Beta(α, α), with one λ per batch; if both are positive, each is used with
    probability ½. Mixup (Zhang et al., ICLR 2018) adds pixels; CutMix (Yun et al., ICCV 2019) pastes a rectangle of the
    other image. `labels` are classes, int64 (N,), or targets that are floats (N, …). Returns the images and the mixed
    targets, for classes as probabilities (N, classes); if both α are 0, the unchanged arguments.
    """
    if not mixup and not cutmix:
        return images, labels
    paste = not mixup or (cutmix and torch.rand((), generator=generator) < 0.5)
    share = _beta(cutmix if paste else mixup, generator)
    order = torch.randperm(len(images), generator=generator).to(images.device)
    others = images[order]
    if paste:
        rows, columns = _box(*images.shape[2:], share, generator)
        images = images.clone()
        images[:, :, rows, columns] = others[:, :, rows, columns]
        height, width = images.shape[2:]
        share = 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    else:
        images = torch.lerp(images, others, 1 - share)
    targets = labels if labels.is_floating_point() else F.one_hot(labels, classes).to(images.dtype)
    return images, torch.lerp(targets, targets[order], 1 - share)


def _beta(alpha: float, generator: torch.Generator) -> float:
    """A draw of Beta(α, α): by numpy, seeded from the generator, since torch's Beta takes no generator."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def _box(height: int, width: int, share: float, generator: torch.Generator) -> tuple[slice, slice]:
    """A rectangle of 1 − `share` of the image around a uniformly random centre, cropped at the image's edges."""
    side = math.sqrt(1 - share)

    def span(size: int) -> slice:
        centre = int(torch.randint(size, (), generator=generator))
        half = int(side * size) // 2
        return slice(max(centre - half, 0), min(centre + half, size))

    return span(height), span(width)
