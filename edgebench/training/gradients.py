"""Computes the gradients of a batch, in parts that fit into memory, on one device or several."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from edgebench.errors import OutOfMemory

# (images (n, …), labels (n,)) of one part → its mean loss, which is differentiated, and how many images were classified
# right of how many, int64 (2,).
PartLoss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Accumulation:
    """Adds up the gradients of a batch over parts of at most `part_size` images.

    Each part's loss is weighted by its share of the images, so the gradients equal those of the whole batch. If a part
    does not fit into memory, `part_size` is halved for the rest of the run, and `say` is told.
    """

    def __init__(
        self, network: nn.Module, part_size: int, scaler: torch.amp.GradScaler, say: Callable[[str], None]
    ) -> None:
        self._network, self.part_size, self._scaler, self._say = network, part_size, scaler, say

    def backward(
        self, images: torch.Tensor, labels: torch.Tensor, loss_of: PartLoss
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Set the gradients of a batch. Returns its mean loss, and how many images were right of how many."""
        while True:
            self._network.zero_grad(set_to_none=True)
            try:
                return self._in_parts(images, labels, loss_of)
            except RuntimeError as error:  # torch.OutOfMemoryError is a subclass; the CPU's allocator has none
                if not _is_out_of_memory(error):
                    raise
                self._halve(len(images))

    def _in_parts(
        self, images: torch.Tensor, labels: torch.Tensor, loss_of: PartLoss
    ) -> tuple[torch.Tensor, torch.Tensor]:
        loss_sum, correct_sum = 0.0, 0
        parts = list(zip(images.split(self.part_size), labels.split(self.part_size), strict=True))
        for i, part in enumerate(parts):
            with self._without_exchange(last=i == len(parts) - 1):
                loss, correct = loss_of(*part)
                share = loss * (len(part[0]) / len(images))
                self._scaler.scale(share).backward()
            loss_sum, correct_sum = loss_sum + share.detach(), correct_sum + correct
        return loss_sum, correct_sum

    def _without_exchange(self, *, last: bool) -> contextlib.AbstractContextManager[None]:
        """Processes exchange their gradients once per step, with the last part."""
        if isinstance(self._network, DistributedDataParallel) and not last:
            return self._network.no_sync()
        return contextlib.nullcontext()

    def _halve(self, batch: int) -> None:
        self._network.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if isinstance(self._network, DistributedDataParallel):
            raise OutOfMemory("a batch does not fit into memory", "a smaller --batch-size and a larger --accumulate")
        if self.part_size == 1:
            raise OutOfMemory("not even one image fits into memory", "a smaller --model or --image-size; --amp bf16")
        self.part_size = -(-min(self.part_size, batch) // 2)
        self._say(f"out of memory: continuing with parts of {self.part_size} images, whose gradients are added up")


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
