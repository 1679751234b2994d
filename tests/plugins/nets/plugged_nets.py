"""A plug-in that offers a network, and one under a name that timm has."""

from torch import nn


def build(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, num_classes))
