"""Measures what a network costs before it is trained: parameters, operations, activations, size, peak memory.

    python -m edgebench.training.complexity MODEL IMAGE_SIZE BATCH TRAIN_BATCH OUT.json    measures its own peak memory

Peak memory is that of a process, so each network is measured in its own; libraries and their warm-up are not counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile, EdgebenchError
from edgebench.machine.children import Child, end_with_parent
from edgebench.machine.memory import PeakMemory
from edgebench.records import jsonio, replacing
from edgebench.training.requirements import require_training_libraries

CLASSES = 1000  # ImageNet's, as in the published figures
TIME_LIMIT_S = 1200.0


@dataclass(frozen=True)
class NetworkMemory:
    """Peaks in bytes above the process without the network; None, with a `reason`, if this machine cannot tell them.

    inference_bytes: one batch and the weights; training_bytes: forward, backward and AdamW's step, with gradients and
    the optimizer's state. `source` names the counter.
    """

    inference_bytes: int | None
    training_bytes: int | None
    source: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """A network's cost for square images of `image_size` pixels; `error` says why the figures are missing.

    macs, flops = 2 × macs and activations are for one image: see `models.cost.count`. weights_bytes: all parameters
    and buffers in fp32, the size of a checkpoint's weights file.
    """

    model: str
    image_size: int
    parameters: int | None = None
    macs: int | None = None
    flops: int | None = None
    activations: int | None = None
    weights_bytes: int | None = None
    batch_size: int | None = None
    train_batch_size: int | None = None
    memory: NetworkMemory | None = None
    adapted: tuple[str, ...] = ()
    error: str = ""


def profile_all(
    models: Sequence[str] = (), image_size: int = 224, batch_size: int = 1, train_batch_size: int = 32, *,
    memory: bool = True, on_start: Callable[[str], None] = lambda name: None,
) -> list[Complexity]:  # fmt: skip
    """The cost of each network, by default of the seven. Raises Unsupported without torch."""
    require_training_libraries()
    from edgebench.training.short_names import GROUPS

    found = []
    for name in models or next(iter(GROUPS.values())):
        on_start(name)
        found.append(profile(name, image_size, batch_size, train_batch_size, memory=memory))
    return found


def profile(name: str, image_size: int, batch_size: int, train_batch_size: int, *, memory: bool = True) -> Complexity:
    """The cost of one network. A fault of the network is not raised: it becomes the `error`."""
    found = Complexity(model=name, image_size=image_size)
    try:
        found = _count(found)
        if memory:
            measured = _measured_apart(name, image_size, batch_size, train_batch_size)
            found = replace(found, memory=measured, batch_size=batch_size, train_batch_size=train_batch_size)
    except EdgebenchError as error:
        return replace(found, error=str(error))
    except Exception as error:  # a user's network can raise anything
        return replace(found, error=f"{type(error).__name__}: {error}")
    return found


def _count(found: Complexity) -> Complexity:
    import contextlib

    import torch

    from edgebench.training import models

    # torch's meta device computes only shapes; a user's code may need the numbers.
    with torch.device("meta") if models.is_timm(found.model) else contextlib.nullcontext():
        model, info = models.build(found.model, CLASSES, found.image_size, seed=0)
    tensors = model.state_dict().values()
    return replace(
        found,
        parameters=info.parameters,
        macs=info.macs,
        flops=info.flops,
        activations=info.activations,
        weights_bytes=sum(t.numel() * t.element_size() for t in tensors),
        adapted=info.adapted,
    )


def _measured_apart(name: str, image_size: int, batch_size: int, train_batch_size: int) -> NetworkMemory:
    with replacing.scratch() as scratch:
        out = Path(scratch, "memory.json")
        command = [sys.executable, "-m", "edgebench.training.complexity", name]
        command += [str(n) for n in (image_size, batch_size, train_batch_size)]
        # This threshold makes malloc return freed blocks at once, so that the peak contains only live memory.
        child = Child([*command, str(out)], environment={"MALLOC_MMAP_THRESHOLD_": "65536"})
        ending = child.wait(time_limit_s=TIME_LIMIT_S)
        if ending.cause == "timeout":
            raise EdgebenchError(f"measuring its memory took more than {TIME_LIMIT_S:g} s", "--no-memory")
        try:
            return jsonio.read(NetworkMemory, out)
        except BadFile:
            message = f"the process that measures its memory {ending.how}: {ending.last_line}"
            raise EdgebenchError(message, "a smaller --train-batch-size, or --no-memory") from None


def measure(name: str, image_size: int, batch_size: int, train_batch_size: int) -> NetworkMemory:
    """Peak memory of inference and training in this process, which must be a fresh one."""
    import torch

    from edgebench.training import models

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    models.import_timm()
    tiny = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Flatten(), torch.nn.Linear(8 * 14 * 14, CLASSES))
    _train(tiny.to(device), torch.rand(2, 3, 16, 16, device=device))  # libraries allocate once; not counted
    del tiny
    counter = _Cuda() if device.type == "cuda" else _Resident()
    model, _ = models.build(name, CLASSES, image_size, seed=0)
    model = model.to(device)
    counter.start_phase()
    with torch.inference_mode():
        model(torch.rand(batch_size, 3, image_size, image_size, device=device))
    inference = counter.peak_bytes()
    counter.start_phase()
    _train(model.train(), torch.rand(train_batch_size, 3, image_size, image_size, device=device))
    return NetworkMemory(inference, counter.peak_bytes(), counter.source, counter.reason)


def _train(model: Any, images: Any) -> None:
    """Two steps: AdamW creates its state in the first, so only the second has everything in memory."""
    import torch

    model, images = (x.to(memory_format=torch.channels_last) for x in (model, images))  # like `edgebench train`
    labels = torch.arange(len(images), device=images.device) % CLASSES
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


class _Resident:
    """Resident memory above its value when this counter was made."""

    source = PeakMemory.source

    def __init__(self) -> None:
        self._peak = PeakMemory()
        self._peak.start_phase()
        self._before = self._peak.peak_bytes()

    def start_phase(self) -> None:
        self._peak.start_phase()

    def peak_bytes(self) -> int | None:
        peak = self._peak.peak_bytes()
        return None if peak is None or self._before is None else peak - self._before

    @property
    def reason(self) -> str:
        return self._peak.reason


class _Cuda:
    """The most that torch's allocator handed out, above its value when this counter was made."""

    source = "torch.cuda.max_memory_allocated"
    reason = ""

    def __init__(self) -> None:
        import torch

        self._cuda = torch.cuda
        self._before = torch.cuda.memory_allocated()

    def start_phase(self) -> None:
        self._cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int:
        self._cuda.synchronize()
        return self._cuda.max_memory_allocated() - self._before


def _main() -> None:
    parser = argparse.ArgumentParser(prog="edgebench.training.complexity")
    parser.add_argument("model")
    parser.add_argument("numbers", type=int, nargs=3)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    jsonio.write(given.out, measure(given.model, *given.numbers))


if __name__ == "__main__":
    end_with_parent()
    _main()
