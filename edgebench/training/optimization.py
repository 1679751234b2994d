"""The optimizer, its learning rate over time, and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from edgebench.records.recipe import TrainConfig
from edgebench.training import models

MOMENTUM = 0.9


def default_lr(config: TrainConfig, network: nn.Module, *, learned: bool) -> float:
    """A good peak learning rate, found for AdamW on digits and CIFAR-10 with batches of 64.

    `learned`: the network begins with learned weights.

    Networks without batch normalisation (transformers, ConvNeXt) diverge at the rate where others learn fastest, and
    large steps destroy learned weights.
    """
    normalised = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    lr = 5e-3 if normalised else 1e-3
    lr *= 10 if config.optimizer == "sgd" else 1
    if config.head_first:
        return lr / 15
    return lr / 5 if learned else lr


def optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD over the parameters that are not frozen; each group has its peak learning rate as `peak_lr`."""
    groups = models.parameter_groups(
        network, lr=config.lr, weight_decay=config.weight_decay, layer_decay=config.layer_decay
    )
    if config.optimizer == "sgd":
        made = torch.optim.SGD(groups, lr=config.lr, momentum=MOMENTUM, nesterov=True)
    else:
        made = torch.optim.AdamW(groups, lr=config.lr, fused=True)
    for group in made.param_groups:
        group["peak_lr"] = group["lr"]
    return made


def add(optimizer: torch.optim.Optimizer, module: nn.Module, config: TrainConfig) -> None:
    """Let the optimizer move the parameters of another module too."""
    rate = {"lr": config.lr, "peak_lr": config.lr, "weight_decay": config.weight_decay}
    optimizer.add_param_group({"params": list(module.parameters()), **rate})


def set_lr(optimizer: torch.optim.Optimizer, progress: float, warmup: float) -> float:
    """Set the learning rate at the share `progress` of the run: a warm-up over the share `warmup`, a cosine to zero.

    Returns the rate as a share of its peak.
    """
    rising = min(1.0, (progress + 1e-3) / warmup) if warmup else 1.0
    share = rising * 0.5 * (1 + math.cos(math.pi * progress))
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * share
    return share


def average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights (`.module`); its buffers are copied unchanged.

    The decay after n updates is min(decay, (1 + n) / (10 + n)), as in TensorFlow's ExponentialMovingAverage. Otherwise
    the average of a short run would still be close to the initial weights.
    """

    def step(averaged: list[torch.Tensor], current: list[torch.Tensor], updates: torch.Tensor | int) -> None:
        n = int(updates)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return AveragedModel(network, multi_avg_fn=torch.no_grad()(step)).eval()
