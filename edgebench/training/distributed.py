"""The processes of one training run: a single one, or those that torchrun started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from edgebench.errors import EdgebenchError


@dataclass(frozen=True)
class World:
    """This process's place among `size` processes, and the device it trains on."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process also measures accuracy, writes and prints; the others only compute gradients."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """`network` with its gradients averaged over all processes."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, device_ids=[self.device] if self.device.type == "cuda" else None)

    def mine(self, chosen: torch.Tensor) -> torch.Tensor:
        """This process's share of a batch."""
        return chosen[self.rank :: self.size]

    @contextlib.contextmanager
    def leader_first(self) -> Iterator[None]:
        """A block that the leader runs before the others: it fills the caches that they read."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            torch.distributed.barrier()

    def told(self, value: float) -> float:
        """The leader's `value`, in all processes."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(shared, 0)
        return shared.item()


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Join the other processes, by NCCL on GPUs and Gloo on CPUs. A process that torchrun did not start is alone.

    Raises EdgebenchError if the processes do not find each other.
    """
    cuda = torch.cuda.is_available()
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield World(0, 1, torch.device("cuda" if cuda else "cpu"))
        return
    try:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if cuda:
            torch.cuda.set_device(local % torch.cuda.device_count())
        torch.distributed.init_process_group("nccl" if cuda else "gloo")
    except (RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise EdgebenchError(
            f"the processes of this run did not find each other: {reason}",
            "start them with torchrun --nproc-per-node N -m edgebench train …",
        ) from None
    try:
        device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
        yield World(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)
    finally:
        torch.distributed.destroy_process_group()
