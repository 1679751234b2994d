"""The state of a training run after an epoch, on disk, so that a killed run goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records import jsonio
from edgebench.records.options import flag
from edgebench.records.recipe import TrainConfig

STATE = "state.safetensors"
SHARE = 20  # saving is skipped until the run has taken so many times as long as saving did: it costs at most 5 %

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class RunState:
    """How far a run is, beside its tensors. `history`: a record an epoch; `part_size`: images in memory at once."""

    config: TrainConfig
    epoch: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    part_size: int = 0
    seconds: float = 0.0
    scaler: dict[str, Any] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()


class SavedRun:
    """A hidden folder beside the checkpoint to be, with the last saved state in one file, replaced as a whole."""

    def __init__(self, out: Path) -> None:
        self.folder = out.parent / f".{out.name}.unfinished"
        self._saved_at, self._took_s = -float("inf"), 0.0

    def exists(self) -> bool:
        return (self.folder / STATE).is_file()

    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at > SHARE * self._took_s

    def save(self, progress: RunState, tensors: Tensors) -> None:
        """Replace the saved state. Raises EdgebenchError where it cannot be written; the one before is then intact."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=self.folder, suffix=".partial")
        os.close(handle)
        try:
            contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(contiguous, partial, {"progress": jsonio.dumps(progress)})
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, self.folder / STATE)
        except (OSError, SafetensorError) as error:
            raise EdgebenchError(
                f"the state of this run cannot be saved in {self.folder}: {error}",
                "make room on that disk, then repeat the command with --resume: the state saved before is intact",
            ) from None
        finally:
            Path(partial).unlink(missing_ok=True)
        self._saved_at, self._took_s = time.monotonic(), time.monotonic() - began

    def load(self, config: TrainConfig) -> tuple[RunState, Tensors]:
        """The saved state of a run with this config. Raises UsageError if there is none, BadFile if it is damaged."""
        path = self.folder / STATE
        if not self.exists():
            raise UsageError(f"there is no unfinished run to resume in {self.folder}", "leave out --resume")
        try:
            with safe_open(path, "pt") as file:
                told = json.loads((file.metadata() or {}).get("progress", ""))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        except (SafetensorError, OSError, ValueError) as error:
            raise BadFile(f"{path} cannot be read: {error}", "leave out --resume to begin anew") from None
        progress = jsonio.decode(RunState, told, str(path))
        for name in TrainConfig.__dataclass_fields__:
            was, asked = getattr(progress.config, name), getattr(config, name)
            if was != asked and asked is not None:
                raise UsageError(
                    f"the unfinished run has {flag(name)} {was}, not {asked}", "resume it with the options it had"
                )
        return progress, tensors

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def gather(network: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module | None, best: Tensors) -> Tensors:
    """All the tensors that a run needs to go on, by name."""
    found = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
    found |= {f"best/{name}": tensor for name, tensor in best.items()}
    if average is not None:
        found |= {f"average/{name}": tensor for name, tensor in average.state_dict().items()}
    for i, parameter in enumerate(_parameters(optimizer)):
        for name, value in optimizer.state[parameter].items():
            found[f"optimizer/{i}/{name}"] = torch.as_tensor(value)
    return found


def restore(
    tensors: Tensors, network: nn.Module, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler,
    average: nn.Module | None, progress: RunState,
) -> Tensors:  # fmt: skip
    """Put what was saved back where it was. Returns the best weights. Raises BadFile if they do not fit."""
    if progress.scaler:
        scaler.load_state_dict(progress.scaler)
    try:
        network.load_state_dict(_under("network/", tensors))
        if average is not None:
            average.load_state_dict(_under("average/", tensors))
        for i, parameter in enumerate(_parameters(optimizer)):
            for name, value in _under(f"optimizer/{i}/", tensors).items():
                # A moment has to lie in memory as its parameter does: the fused kernels walk both alike.
                like = torch.empty_like(parameter) if value.shape == parameter.shape else value
                optimizer.state[parameter][name] = like.copy_(value).detach() if like is not value else value
    except RuntimeError as error:
        raise BadFile(f"the saved state does not fit this network: {error}", "leave out --resume") from None
    return _under("best/", tensors)


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
