"""Augmentation of training images, a whole batch at once on its device; this file applies the steps in order.

Images are uint8 tensors (N, 3, H, W), channels-last in memory, before and after. All random numbers come from a CPU
`torch.Generator`, also for images on a GPU, so that a run resumes exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.errors import unknown_name
from edgebench.training.augment import placement
from edgebench.training.augment.mixing import mix
from edgebench.training.augment.placement import drawn, flip, shift
from edgebench.training.augment.policies import rand, trivial

if TYPE_CHECKING:
    import torch

__all__ = ["POLICIES", "augment", "drawn", "flip", "mix", "rand", "shift", "trivial"]

POLICIES = {"none": None, "trivialaugment": trivial, "randaugment": rand}


def augment(
    images: torch.Tensor, generator: torch.Generator, *, flip: bool | torch.Tensor, shift: float, policy: str
) -> torch.Tensor:
    """`images` (N, 3, H, W), uint8, mirrored, then moved by up to the share `shift`, then changed by a policy.

    `flip`: whether to mirror half of the images, or bool (N,): which ones (see `drawn`). `policy`: a key of POLICIES.
    Raises UsageError for an unknown one.
    """
    if policy not in POLICIES:
        raise unknown_name("augmentation policy", policy, POLICIES)
    if flip is not False:
        which = drawn(len(images), generator) if flip is True else flip
        images = placement.mirror(images, which)
    if shift:
        images = placement.shift(images, shift, generator)
    if change := POLICIES[policy]:
        images = change(images, generator)
    return images
