"""Faster gradients of depthwise convolutions over small maps, on a CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

# oneDNN is fast at 3 × 3 kernels, and at larger ones over larger maps.
LEAST_KERNEL = 5
MOST_PAIRS = 49 * 49  # pixels of the map that goes in times those of the one that comes out: the size of a matrix below


def hasten(network: nn.Module) -> None:
    """Let the depthwise convolutions of `network` compute their weights' gradients by matrix products over small maps.

    oneDNN's gradient of the weights of a 5 × 5 depthwise kernel over a 3 × 3 map takes 50 times as long as the forward
    pass: two such layers took 40 % of a step of mobilenetv3_small_050. Only the class of a module changes, so its
    weights, names and answers stay. A copy of the network has it too.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_plain_depthwise(module):
            module.__class__ = _Depthwise


def _is_plain_depthwise(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size[0] >= LEAST_KERNEL
        and 1 < conv.groups == conv.in_channels == conv.out_channels
        and conv.bias is None
        and conv.padding_mode == "zeros"
        and isinstance(conv.padding, tuple)
        and conv.dilation == (1, 1)
        and all(len(set(pair)) == 1 for pair in (conv.kernel_size, conv.stride, conv.padding))
    )


class _Depthwise(nn.Conv2d):
    """A depthwise convolution: nn.Conv2d, but for the gradient of its weights over small maps of float32."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        learns = self.training and self.weight.requires_grad and torch.is_grad_enabled()
        if not learns or images.device.type != "cpu" or images.dtype != torch.float32:
            return super().forward(images)
        if torch.is_autocast_enabled("cpu") or _pairs(images, self) > MOST_PAIRS:
            return super().forward(images)
        return _SmallMap.apply(images, self.weight, self.stride[0], self.padding[0])


def _pairs(images: torch.Tensor, conv: nn.Conv2d) -> int:
    height, width = images.shape[2:]
    rows, columns = (
        (side + 2 * conv.padding[0] - conv.kernel_size[0]) // conv.stride[0] + 1 for side in (height, width)
    )
    return height * width * rows * columns


class _SmallMap(torch.autograd.Function):
    """The library's passes, but the gradient of the weights as products of small matrices, one for each channel."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        of_images = None
        if ctx.needs_input_grad[0]:
            stride, padding = [ctx.stride] * 2, [ctx.padding] * 2
            of_images, _, _ = torch.ops.aten.convolution_backward(
                gradient, images, weight, None, stride, padding, [1, 1], False, [0, 0], len(weight),
                [True, False, False],
            )  # fmt: skip
        is_tap = _is_tap(*images.shape[2:], weight.shape[-1], ctx.stride, ctx.padding)
        products = torch.bmm(_by_channel(images).transpose(1, 2), _by_channel(gradient))  # (channels, in, out)
        of_weight = (products.view(len(weight), -1) @ is_tap).view_as(weight)
        return of_images, of_weight, None, None


def _by_channel(maps: torch.Tensor) -> torch.Tensor:
    """(n, channels, h, w) → (channels, n, h · w), contiguous."""
    count, channels, height, width = maps.shape
    flat = maps.permute(0, 2, 3, 1).reshape(-1, channels)
    return flat.t().contiguous().view(channels, count, height * width)


@lru_cache(maxsize=64)
def _is_tap(height: int, width: int, kernel: int, stride: int, padding: int) -> torch.Tensor:
    """Whether this entry of the kernel links a pixel of the input with one of the output: zeros and ones.

    float32 (pixels in · pixels out, kernel²).
    """

    def along(size: int) -> torch.Tensor:
        out = (size + 2 * padding - kernel) // stride + 1
        return torch.arange(size)[:, None] - torch.arange(out) * stride + padding

    rows, columns = along(height)[:, None, :, None], along(width)[None, :, None, :]
    inside = (rows >= 0) & (rows < kernel) & (columns >= 0) & (columns < kernel)
    taps = torch.where(inside, rows * kernel + columns, kernel**2).reshape(-1)
    return F.one_hot(taps, kernel**2 + 1)[:, :-1].float()
