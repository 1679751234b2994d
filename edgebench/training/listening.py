"""Whom a training tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """Where a run stands after a step, and its figures over the steps so far in this epoch.

    `accuracy` is None before the first image with a label; `validation_accuracy` is that of the epoch before, None in
    the first. `seconds_left`: to the end of the last epoch. `part`: which training of a search it is, "" for the one
    that makes the checkpoint.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float | None
    validation_accuracy: float | None
    images_per_s: float
    seconds_left: float
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Whom a run tells: `on_step` each step, `say` a sentence now and then, `on_image` (done, total) while reading,
    `on_answer` while a teacher answers, `on_weights` (name, bytes done, bytes in all) while weights are fetched."""

    on_step: Callable[[TrainingStep], None] = lambda step: None
    say: Callable[[str], None] = lambda sentence: None
    on_image: Callable[[int, int], None] = lambda done, total: None
    on_answer: Callable[[int, int], None] = lambda done, total: None
    on_weights: Callable[[str, int, int], None] = lambda name, done, total: None


SILENT = Listener()


def fetching(name: str, done: int, total: int) -> str:
    """How far weights are that come from the hub, of which `done` bytes are here: "fetching NAME: 3.1 of 20.1 MB"."""
    return f"fetching {name}: {done / 1e6:.1f}" + (f" of {total / 1e6:.1f}" if total else "") + " MB"
