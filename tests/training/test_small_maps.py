"""Convolutions over small maps by matrix products: torch's answers and gradients, in the networks that have them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgebench.training import models, small_maps


def gradients(conv: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    images = images.clone().requires_grad_()
    conv.zero_grad()
    answer = conv(images)
    (answer * torch.linspace(-1, 1, answer.numel()).view(answer.shape)).sum().backward()
    return answer.detach(), images.grad, conv.weight.grad


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"), [(1, 5, 1, 2), (2, 5, 1, 2), (7, 5, 2, 2), (5, 7, 1, 3), (9, 5, 2, 0)]
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_gradients_are_those_of_torch(
    side: int, kernel: int, stride: int, padding: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, kernel, stride, padding, groups=6, bias=False)
    fast = copy.deepcopy(plain)
    small_maps.hasten(fast)
    images = torch.randn(3, 6, side, side + (side > 4)).to(memory_format=layout)
    assert type(fast) is not nn.Conv2d
    assert fast.weight.data_ptr() != plain.weight.data_ptr()
    for ours, theirs in zip(gradients(fast, images), gradients(plain, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"), [(1, 1, 1, 0), (1, 3, 1, 1), (2, 3, 1, 1), (4, 3, 2, 1), (3, 3, 1, 0),
                                              (4, 1, 2, 0), (3, 1, 1, 0)]
)  # fmt: skip
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_dense_kernels_have_torchs_answers_and_gradients(
    side: int, kernel: int, stride: int, padding: int, bias: bool, layout: torch.memory_format,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(small_maps, "LEAST_WEIGHTS", 1)
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 9, kernel, stride, padding, bias=bias).to(memory_format=layout)
    fast = copy.deepcopy(plain)
    small_maps.hasten(fast)
    images = torch.randn(3, 6, side, side + (side == 3)).to(memory_format=layout)
    assert type(fast) is not nn.Conv2d
    for ours, theirs in zip(gradients(fast, images), gradients(plain, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    if bias:
        torch.testing.assert_close(fast.bias.grad, plain.bias.grad, rtol=1e-4, atol=1e-5)


def test_convolutions_of_another_kind_stay_as_they_are() -> None:
    others = nn.ModuleList(
        [
            nn.Conv2d(6, 6, 3, groups=6, bias=False), nn.Conv2d(6, 6, 5, bias=False),
            nn.Conv2d(6, 6, 5, groups=3, bias=False), nn.Conv2d(6, 6, 5, groups=6),
            nn.Conv2d(6, 6, 5, groups=6, bias=False, dilation=2), nn.Conv2d(6, 6, (5, 7), groups=6, bias=False),
            nn.Conv2d(6, 6, 5, groups=6, bias=False, padding_mode="reflect"), nn.Conv2d(1, 1, 5, bias=False),
        ]
    )  # fmt: skip
    small_maps.hasten(others)
    assert {type(module) for module in others} == {nn.Conv2d}


def test_a_network_keeps_its_names_and_its_answers() -> None:
    network, _ = models.build("mobilenetv3_small_050", 10, 32, seed=0)
    plain, images = copy.deepcopy(network), torch.randn(2, 3, 32, 32)
    small_maps.hasten(network)
    changed = [name for name, module in network.named_modules() if type(module).__name__ == "_Depthwise"]
    assert len(changed) == 8, "all its depthwise kernels of 5 × 5"
    assert network.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(network.eval()(images), plain.eval()(images))
    assert type(copy.deepcopy(network).get_submodule(changed[0])).__name__ == "_Depthwise"
