"""Gradients in parts: those of the whole batch, also where memory runs out on the way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgebench.errors import OutOfMemory
from edgebench.training.gradients import Accumulation

IMAGES = torch.randn(13, 3, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(13) % 5


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.GELU(), nn.Linear(16, 5))


def gradients(part_size: int, fits: int = 100) -> tuple[list[torch.Tensor], float, int, list[str]]:
    """Of one batch, on a device that holds `fits` images: gradients, loss, right ones, and what was said."""
    model, said = network(), []

    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if len(images) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        logits = model(images)
        return nn.functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).sum()

    scaler = torch.amp.GradScaler("cpu", enabled=False)
    loss, right = Accumulation(model, part_size, scaler, said.append).backward(IMAGES, LABELS, loss_of)
    return [p.grad for p in model.parameters()], float(loss), int(right), said


@pytest.mark.parametrize("part_size", [1, 4, 5, 12])
def test_parts_add_up_to_the_gradients_of_the_whole_batch(part_size: int) -> None:
    whole, loss, right, _ = gradients(13)
    parts, loss_in_parts, right_in_parts, said = gradients(part_size)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert (loss_in_parts, right_in_parts, said) == (pytest.approx(loss, rel=1e-6), right, [])


@pytest.mark.parametrize(("fits", "halvings"), [(7, 1), (4, 2), (1, 4)])
def test_where_memory_runs_out_the_parts_are_halved_and_it_is_said(fits: int, halvings: int) -> None:
    whole, _, right, _ = gradients(13)
    parts, _, right_in_parts, said = gradients(13, fits)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert right_in_parts == right, "nothing is counted twice"
    assert len(said) == halvings and "out of memory: continuing with parts of" in said[-1]


def test_a_network_too_large_for_one_image_is_an_error_with_a_fix() -> None:
    with pytest.raises(OutOfMemory, match="not even one image fits") as raised:
        gradients(13, fits=0)
    assert "--image-size" in raised.value.fix


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    model = network()

    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        Accumulation(model, 4, torch.amp.GradScaler("cpu", enabled=False), print).backward(IMAGES, LABELS, loss_of)
