"""Counts what one image costs a network: multiply-accumulates (MACs) and activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_aten = torch.ops.aten
# The operators whose outputs are activations. Normalisations, non-linearities and pooling are not counted.
_COUNTED = {_aten.convolution, _aten.mm, _aten.addmm, _aten.bmm, _aten.baddbmm}


@dataclass(frozen=True)
class Cost:
    """Of one image. macs: multiply-accumulates; activations: output elements of convolutions and matrix products."""

    macs: int
    activations: int


class _Counter(TorchDispatchMode):
    """Adds up the MACs of every operator, and the output elements of convolutions and matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = self.elements = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and torch need not import its compiler (two seconds) to keep it away."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out, kind = func(*args, **kwargs), func._overloadpacket
        if formula := flop_registry.get(kind):
            self.macs += formula(*args, **kwargs, out_val=out) // 2
        if kind in _COUNTED:
            self.elements += out.numel()
        return out


def count(model: nn.Module, image_size: int) -> Cost:
    """The cost of one square image of `image_size` pixels, with attention. Runs the model once, on its own device.

    MACs: by the formulas of torch's FlopCounterMode, which count a MAC as two FLOPs. Activations: as Radosavovic et al.
    define them (Designing Network Design Spaces, 2020: the size of the output tensors of all convolutions), and of
    matrix products too, like fvcore's ActivationCountAnalysis, whose figures timm publishes.
    """
    device = next((p.device for p in model.parameters()), torch.get_default_device())
    image = torch.zeros(1, 3, image_size, image_size, device=device)
    # The formulas do not cover the CPU's fused attention; its plain form has the same products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _Counter() as counter:
        model(image)
    return Cost(counter.macs, counter.elements)
