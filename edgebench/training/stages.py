"""What comes after the epochs: averages of weights, and statistics of batch normalisation that fit them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from edgebench.measuring import correctness
from edgebench.training import balance
from edgebench.training.data import Images

SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)  # of the fine-tuned weights in their average with those they began with
STATISTICS_IMAGES = 2048
PART = 128

Weights = dict[str, torch.Tensor]
Normalised = Callable[[torch.Tensor], torch.Tensor]


def keep_statistics(network: nn.Module) -> None:
    """Let batch normalisation use its learned statistics and leave them as they are. Call it after `train()`."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def estimate_statistics(network: nn.Module, images: Images, normalised: Normalised) -> None:
    """Estimate the statistics of batch normalisation again, for averaged weights: those kept are of other weights."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    device = next(network.parameters()).device
    some = min(len(images), STATISTICS_IMAGES)
    with torch.no_grad():
        for start in range(0, some - some % PART if some > PART else some, PART):
            part = torch.from_numpy(np.ascontiguousarray(images.images[start : min(start + PART, some)]))
            network(normalised(part.permute(0, 3, 1, 2).to(device)))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def has_statistics(network: nn.Module) -> bool:
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


@dataclass(frozen=True)
class Answered:
    """What the answers to the validation images are worth. `score` and `loss`, which decide, are means over the images,
    or over the classes where these count alike."""

    accuracy: float
    score: float
    loss: float


def chosen_statistics(
    network: nn.Module, train: Images, validation: Images, normalised: Normalised, score: float, balanced: bool
) -> Answered | None:
    """Keep newly estimated statistics in `network` if the score on validation is at least as high with them.

    `score`: that without them; `balanced`: all classes count alike. None if they were not kept.
    """
    before = copy.deepcopy(network.state_dict())
    estimate_statistics(network, train, normalised)
    now = _answered(network, validation, normalised, balanced)
    if now.score >= score:
        return now
    network.load_state_dict(before)
    return None


def chosen_average(
    network: nn.Module, start: Weights, validation: Images, normalised: Normalised, balanced: bool
) -> tuple[float, Answered]:
    """Put the average of `network` and the weights that it began with into it whose share is best on validation.

    Returns the share of the fine-tuned weights, and what it gives (Wortsman et al., arXiv:2109.01903).
    """
    end = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    found = {}
    for share in SHARES:
        network.load_state_dict(averaged(start, end, share))
        found[share] = _answered(network, validation, normalised, balanced)
    best = max(found, key=lambda share: (found[share].score, -found[share].loss, share))
    network.load_state_dict(averaged(start, end, best))
    return best, found[best]


def averaged(start: Weights, end: Weights, share: float) -> Weights:
    """The weights at the share `share` of the way from `start` to `end`; whole numbers are those of `end`."""
    return {
        name: torch.lerp(start[name].to(tensor), tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in end.items()
    }


def _answered(network: nn.Module, images: Images, normalised: Normalised, balanced: bool) -> Answered:
    logits = correctness.torch_logits(network, normalised, batch_size=PART)(images.images)
    losses = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(images.labels), reduction="none")
    right = logits.argmax(axis=1) == images.labels
    if balanced:
        score, loss = (balance.mean(values, images.labels) for values in (right, losses.numpy()))
    else:
        score, loss = float(right.mean()), float(losses.mean())
    return Answered(float(right.mean()), score, loss)
