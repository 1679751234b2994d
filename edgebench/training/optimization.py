"""What moves the weights: the optimizer, its learning rate over time, and their running average."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from edgebench.records.recipe import TrainConfig
from edgebench.training import models

MOMENTUM = 0.9


def default_lr(config: TrainConfig, network: nn.Module) -> float:
    """A peak learning rate that trains: found for AdamW on digits and CIFAR-10 with batches of 64.

    Networks without batch normalisation (transformers, ConvNeXt) diverge where the others learn fastest, and weights
    that were learned already are lost by large steps.
    """
    normalised = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    lr = 5e-3 if normalised else 1e-3
    lr *= 10 if config.optimizer == "sgd" else 1
    return lr / 5 if config.pretrained or config.init_weights else lr


def optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD over what is to be trained; each group's peak learning rate is its `peak_lr`."""
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


def set_lr(optimizer: torch.optim.Optimizer, step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over a share of the `steps`, then a cosine to zero. Returns the share of the peak at `step`."""
    rising = max(1, round(warmup * steps))
    share = min(1.0, (step + 1) / rising) * 0.5 * (1 + math.cos(math.pi * step / steps))
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * share
    return share


def average(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights (`.module`); its buffers are taken as they are.

    The decay rises to its value as TensorFlow's ExponentialMovingAverage has it, min(decay, (1 + n) / (10 + n)) after n
    updates: otherwise a short run would be judged by the weights that it began with.
    """

    def step(averaged: list[torch.Tensor], current: list[torch.Tensor], updates: torch.Tensor | int) -> None:
        n = int(updates)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return AveragedModel(network, multi_avg_fn=torch.no_grad()(step)).eval()
