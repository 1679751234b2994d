"""Faster training of convolutions over small maps on a CPU: matrix products where oneDNN's kernels are slow."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

# Where oneDNN was slower on AVX2. It is fast at depthwise kernels of 3 × 3, and at larger ones over larger maps.
LEAST_DEPTHWISE = 5
MOST_PAIRS = 49 * 49  # depthwise: pixels of the map that goes in times those of the one that comes out
LEAST_WEIGHTS = 150_000  # others: of smaller kernels the single products are too small
KERNELS = (1, 3)
MOST_PIXELS = {1: 16, 2: 64}  # by the stride, of the map that goes in


def hasten(network: nn.Module) -> None:
    """Let convolutions of `network` be trained by matrix products where that is faster: over maps of a few pixels.

    oneDNN's gradient of the weights of a 5 × 5 depthwise kernel over a 3 × 3 map takes 50 times as long as the forward
    pass: two such layers took 40 % of a step of mobilenetv3_small_050. Its 3 × 3 kernels over 2 × 2 maps, as in
    resnet50 at 64 pixels, multiply mostly padding. Only the class of a module changes, so its weights and names stay,
    and its answers outside of training. A copy of the network has it too.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_square(module):
            if 1 < module.groups == module.in_channels == module.out_channels:
                if module.kernel_size[0] >= LEAST_DEPTHWISE and module.bias is None:
                    module.__class__ = _Depthwise
            elif module.groups == 1 and module.weight.numel() >= LEAST_WEIGHTS and _has_taps(module):
                module.__class__ = _Dense


def _is_square(conv: nn.Conv2d) -> bool:
    return (
        conv.padding_mode == "zeros"
        and isinstance(conv.padding, tuple)
        and conv.dilation == (1, 1)
        and all(len(set(pair)) == 1 for pair in (conv.kernel_size, conv.stride, conv.padding))
    )


def _has_taps(conv: nn.Conv2d) -> bool:
    return conv.kernel_size[0] in KERNELS and conv.stride[0] in MOST_PIXELS


def _learns(conv: nn.Conv2d, images: torch.Tensor) -> bool:
    """Whether this is a forward pass whose gradients will be asked for, in float32 on a CPU."""
    if not (conv.training and conv.weight.requires_grad and torch.is_grad_enabled()):
        return False
    plain = images.device.type == "cpu" and images.dtype == torch.float32 and images.ndim == 4
    return plain and not torch.is_autocast_enabled("cpu")


def _side(size: int, kernel: int, stride: int, padding: int) -> int:
    """Pixels a side of the map that comes out."""
    return (size + 2 * padding - kernel) // stride + 1


class _Dense(nn.Conv2d):
    """nn.Conv2d of all channels with each other, but trained over small maps by a product for each tap."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.shape[-1] * images.shape[-2]
        if not _learns(self, images) or pixels > MOST_PIXELS[self.stride[0]]:
            return super().forward(images)
        answer = _ByTaps.apply(images, self.weight, self.stride[0], self.padding[0])
        return answer if self.bias is None else answer + self.bias.view(-1, 1, 1)


class _ByTaps(torch.autograd.Function):
    """For each tap of the kernel, one product with the pixels that it meets: those of the padding cost nothing."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        pixels = images.permute(0, 2, 3, 1)
        count, height, width, _ = pixels.shape
        ctx.met = _met(height, width, weight.shape[-1], stride, padding)
        ctx.save_for_backward(images, weight)
        sides = (_side(size, weight.shape[-1], stride, padding) for size in (height, width))
        answer = images.new_zeros(count, *sides, len(weight))
        for (i, j), at, to in ctx.met:
            found = _rows(pixels, at) @ weight[:, :, i, j].t()
            answer[:, to[0], to[1]] += found.view(answer[:, to[0], to[1]].shape)
        return answer.permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        pixels, wanted = images.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
        of_images = torch.zeros_like(pixels) if ctx.needs_input_grad[0] else None
        of_weight = torch.zeros_like(weight)
        for (i, j), at, to in ctx.met:
            asked = _rows(wanted, to)
            of_weight[:, :, i, j] = asked.t() @ _rows(pixels, at)
            if of_images is not None:
                of_images[:, at[0], at[1]] += (asked @ weight[:, :, i, j]).view(of_images[:, at[0], at[1]].shape)
        return None if of_images is None else of_images.permute(0, 3, 1, 2), of_weight, None, None


def _rows(pixels: torch.Tensor, where: tuple[slice, slice]) -> torch.Tensor:
    """(n, h, w, channels), the part of the map that is meant → (n · pixels, channels)."""
    return pixels[:, where[0], where[1]].reshape(-1, pixels.shape[-1])


@lru_cache(maxsize=256)
def _met(height: int, width: int, kernel: int, stride: int, padding: int) -> tuple[tuple[Any, Any, Any], ...]:
    """Each tap that meets a pixel of the map, the pixels that it meets, and those of the answer that it adds to."""

    def along(size: int, tap: int) -> tuple[slice, slice] | None:
        answers = [o for o in range(_side(size, kernel, stride, padding)) if 0 <= o * stride + tap - padding < size]
        if not answers:
            return None
        first, last = (o * stride + tap - padding for o in (answers[0], answers[-1]))
        return slice(first, last + 1, stride), slice(answers[0], answers[-1] + 1)

    found = []
    for i in range(kernel):
        for j in range(kernel):
            rows, columns = along(height, i), along(width, j)
            if rows and columns:
                found.append(((i, j), (rows[0], columns[0]), (rows[1], columns[1])))
    return tuple(found)


class _Depthwise(nn.Conv2d):
    """A depthwise convolution: nn.Conv2d, but for the gradient of its weights over small maps."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kernel, stride, padding = self.kernel_size[0], self.stride[0], self.padding[0]
        pairs = 1
        for size in images.shape[2:]:
            pairs *= size * _side(size, kernel, stride, padding)
        if not _learns(self, images) or pairs > MOST_PAIRS:
            return super().forward(images)
        return _ByPairs.apply(images, self.weight, stride, padding)


class _ByPairs(torch.autograd.Function):
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
        out = torch.arange(_side(size, kernel, stride, padding))
        return torch.arange(size)[:, None] - out * stride + padding

    rows, columns = along(height)[:, None, :, None], along(width)[None, :, None, :]
    inside = (rows >= 0) & (rows < kernel) & (columns >= 0) & (columns < kernel)
    taps = torch.where(inside, rows * kernel + columns, kernel**2).reshape(-1)
    return F.one_hot(taps, kernel**2 + 1)[:, :-1].float()
