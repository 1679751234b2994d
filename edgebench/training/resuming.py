"""The state of a training run after an epoch, saved on disk so that a killed run resumes to the same weights."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records import jsonio, replacing
from edgebench.records.beginning import Beginning
from edgebench.records.course import Course
from edgebench.records.distillation import Distillation
from edgebench.records.options import flag
from edgebench.records.recipe import TrainConfig
from edgebench.records.search import Search
from edgebench.records.workspace import STATE, need_unfinished, unfinished
from edgebench.training.learner import Learner
from edgebench.training.setup import Setup

PAUSE = 20  # after a save, the run goes on for at least this many times as long as it took: saving costs at most 5 %

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """How far a run is, without its tensors. `history`: one record per epoch; `part_size`: images in memory at once;
    `distilled`: the teacher and the frames that the run began with. `course` is None before the first epoch, where a
    `search` may be under way."""

    config: TrainConfig
    beginning: Beginning | None = None
    epoch: int = 0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    part_size: int = 0
    seconds: float = 0.0
    scaler: dict[str, Any] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = ()
    distilled: Distillation | None = None
    course: Course | None = None
    search: Search | None = None


class SavedRun:
    """A hidden folder beside the future checkpoint. Its one file, the last saved state, is replaced as a whole."""

    def __init__(self, out: Path) -> None:
        self._out, self.folder = out, unfinished(out)
        self._saved_at, self._took_s = -float("inf"), 0.0

    def exists(self) -> bool:
        """Whether there is a state to resume from."""
        return (self.folder / STATE).is_file()

    def began_with(self, identity: str) -> bool:
        """Whether the saved state can be read, and is of a run that began with the weights of this identity."""
        try:
            with safe_open(self.folder / STATE, "pt") as file:
                told = json.loads((file.metadata() or {}).get("progress", ""))
            beginning = jsonio.decode(RunState, told, str(self.folder)).beginning
        except (SafetensorError, OSError, ValueError, BadFile):
            return False
        return beginning is not None and beginning.identity == identity

    def is_due(self) -> bool:
        """Whether enough time has passed since the last save."""
        return time.monotonic() - self._saved_at > PAUSE * self._took_s

    def save(self, progress: RunState, tensors: Tensors) -> None:
        """Replace the saved state. Raises EdgebenchError if it cannot be written; the previous state is then intact."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            with replacing.rewritten(self.folder / STATE) as file:
                save_file(contiguous, file.name, {"progress": jsonio.dumps(progress)})
        except (OSError, SafetensorError) as error:
            raise EdgebenchError(
                f"the state of this run cannot be saved in {self.folder}: {error}",
                "make room on that disk, then repeat the command with --resume: the previous state is intact",
            ) from None
        self._saved_at, self._took_s = time.monotonic(), time.monotonic() - began

    def load(self, config: TrainConfig, planned: str | None = None) -> tuple[RunState, Tensors]:
        """The saved state of a run with this config. Raises UsageError if there is none.

        Raises BadFile if it is damaged, or if the run did not begin with the weights of the identity `planned`.
        """
        need_unfinished(self._out)
        path = self.folder / STATE
        try:
            with safe_open(path, "pt") as file:
                told = json.loads((file.metadata() or {}).get("progress", ""))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        except (SafetensorError, OSError, ValueError) as error:
            raise BadFile(f"{path} cannot be read: {error}", "leave out --resume to start over") from None
        progress = jsonio.decode(RunState, told, str(path))
        begun = progress.search.asked(progress.config) if progress.search else progress.config
        for name in TrainConfig.__dataclass_fields__:
            was, asked = getattr(begun, name), getattr(config, name)
            if was != asked and asked is not None and (name, asked) != ("amp", "auto"):
                now = f"has no {flag(name)}" if was is None else f"has {flag(name)} {was}"
                raise UsageError(f"the unfinished run {now}, not {asked}", "resume it with its own options")
        if progress.beginning is None or planned not in (None, progress.beginning.identity):
            raise BadFile(f"{path} began with other weights", "leave out --resume to start over")
        return progress, tensors

    def discard(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def begun(saved: RunState, setup: Setup) -> RunState:
    """The state of a run, new or resumed, with its setup. Raises UsageError if its teacher or frames are others now."""
    now, was = setup.lesson.record if setup.lesson else None, saved.distilled
    if was and now:
        for name, what in (("identity", f"the teacher {was.teacher}"), ("frames_sha256", "the unlabelled frames")):
            if getattr(was, name) != getattr(now, name):
                raise UsageError(f"{what} changed since this run began", "restore them, or leave out --resume")
    return replace(saved, config=setup.config, beginning=setup.beginning, distilled=was or now)


def gather(learner: Learner, best: Tensors, start: Tensors) -> Tensors:
    """All tensors that a run needs to resume, by name.

    `best`: the weights of its best epoch; `start`: those that it began with, if they are averaged with others later.
    """
    found = {f"network/{name}": tensor for name, tensor in learner.network.state_dict().items()}
    found |= {f"best/{name}": tensor for name, tensor in best.items()}
    found |= {f"start/{name}": tensor for name, tensor in start.items()}
    if learner.average is not None:
        found |= {f"average/{name}": tensor for name, tensor in learner.average.state_dict().items()}
    if learner.projection is not None:
        found |= {f"projection/{name}": tensor for name, tensor in learner.projection.state_dict().items()}
    for i, parameter in enumerate(_parameters(learner.optimizer)):
        for name, value in learner.optimizer.state[parameter].items():
            found[f"optimizer/{i}/{name}"] = torch.as_tensor(value)
    return found


def restore(tensors: Tensors, learner: Learner, state: RunState) -> tuple[Tensors, Tensors]:
    """Put the saved tensors back where they were. Returns the best weights, and those that the run began with.

    Raises BadFile if they do not fit.
    """
    if state.scaler:
        learner.scaler.load_state_dict(state.scaler)
    try:
        learner.network.load_state_dict(_under("network/", tensors))
        if learner.average is not None:
            learner.average.load_state_dict(_under("average/", tensors))
        if learner.projection is not None:
            learner.projection.load_state_dict(_under("projection/", tensors))
        for i, parameter in enumerate(_parameters(learner.optimizer)):
            for name, value in _under(f"optimizer/{i}/", tensors).items():
                # A moment must have its parameter's memory layout: the fused kernels walk both in the same order.
                like = torch.empty_like(parameter) if value.shape == parameter.shape else value
                kept = like.copy_(value).detach() if like is not value else value
                learner.optimizer.state[parameter][name] = kept
    except RuntimeError as error:
        raise BadFile(f"the saved state does not fit this network: {error}", "leave out --resume") from None
    return _under("best/", tensors), _under("start/", tensors)


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
