"""Counts what one image costs a network: multiply-accumulates (MACs) and activations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
# The operators whose outputs are activations. Normalisations, non-linearities and pooling are not counted.
_COUNTED = {_aten.convolution, _aten.mm, _aten.addmm, _aten.bmm, _aten.baddbmm}


@dataclass(frozen=True)
class Cost:
    """Of one image. macs: multiply-accumulates; activations: output elements of convolutions and matrix products."""

    macs: int
    activations: int


class _Activations(TorchDispatchMode):
    """Adds up the output elements of convolutions and matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in _COUNTED:
            self.elements += out.numel()
        return out


@contextlib.contextmanager
def _without_gradients(model: nn.Module) -> Iterator[None]:
    """No parameter needs a gradient: FlopCounterMode fails on one that is handed to a module (attention pooling)."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def count(model: nn.Module, image_size: int) -> Cost:
    """The cost of one square image of `image_size` pixels, with attention. Runs the model once, on its own device.

    MACs: by torch's FlopCounterMode, which counts a MAC as two FLOPs. Activations: as Radosavovic et al. define them
    (Designing Network Design Spaces, 2020: the size of the output tensors of all convolutions), and of matrix products
    too, like fvcore's ActivationCountAnalysis, whose figures timm publishes.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    device = next((p.device for p in model.parameters()), torch.get_default_device())
    image = torch.zeros(1, 3, image_size, image_size, device=device)
    # The counter cannot count the CPU's fused attention; the plain formula has the same products.
    with (
        torch.no_grad(),
        _without_gradients(model),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as flops,
        _Activations() as activations,
    ):
        model(image)
    return Cost(flops.get_total_flops() // 2, activations.elements)
