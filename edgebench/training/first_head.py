"""Fits the linear classifier of a network to its frozen features, before everything learns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from edgebench.errors import UsageError
from edgebench.training import heads, models
from edgebench.training.data import Images
from edgebench.training.heads import Labelled

PART = 128

Normalised = Callable[[torch.Tensor], torch.Tensor]


def fit_head(
    network: nn.Module, train: Images, validation: Images, normalised: Normalised, *, flip: bool, classes: int,
    balanced: bool = False,
) -> float:  # fmt: skip
    """Fit the linear classifier of `network` to the features that the rest makes. Returns its validation accuracy.

    It learns from each image and, with `flip`, its mirror image. The penalty is chosen on validation. `balanced`: all
    classes count alike. Raises UsageError if the network has no linear classifier.
    """
    head = models.linear_head(network, classes)
    if head is None:
        raise UsageError("the network has no linear classifier whose features could be taken", "--no-head-first")
    seen = [_features(network, head, train, normalised, mirrored) for mirrored in ((False, True) if flip else (False,))]
    known = Labelled(np.concatenate(seen), np.tile(train.labels, len(seen)))
    judged = Labelled(_features(network, head, validation, normalised, False), validation.labels)
    threads = torch.get_num_threads()
    try:
        found = heads.linear(known, judged, classes, balanced=balanced)
    finally:
        torch.set_num_threads(threads)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(found.weight))
        if head.bias is not None:
            head.bias.copy_(torch.from_numpy(found.bias))
    return found.told.validation_accuracy


def _features(
    network: nn.Module, head: nn.Linear, images: Images, normalised: Normalised, mirrored: bool
) -> np.ndarray:
    """What the head of the network reads: float32 (n, width)."""
    found: list[torch.Tensor] = []
    hook = head.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0].float().flatten(1)))
    device = head.weight.device
    try:
        network.eval()
        with torch.no_grad():
            for start in range(0, len(images), PART):
                part = torch.from_numpy(np.ascontiguousarray(images.images[start : start + PART])).permute(0, 3, 1, 2)
                network(normalised((part.flip(3) if mirrored else part).to(device)))
    finally:
        hook.remove()
    return torch.cat(found).cpu().numpy()
