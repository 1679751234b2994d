"""Train a backbone: the loop over epochs and steps, from a config to a checkpoint folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgebench import artifact
from edgebench.errors import EdgebenchError
from edgebench.measuring import correctness
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact
from edgebench.training import balance, checkpoint, distributed, finishing, floor, malloc, planning, resuming, tracking
from edgebench.training.batches import BatchReader
from edgebench.training.distributed import World
from edgebench.training.learner import Learner, image_size_at
from edgebench.training.resuming import RunState, SavedRun
from edgebench.training.setup import Setup, prepare

READ_LOSS_EVERY = {"cpu": 1, "cuda": 10}  # steps: reading the loss makes the host wait for the device


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """Where a run stands after a step, and its figures over the steps so far in this epoch.

    `accuracy` is None before the first image with a label; `validation_accuracy` is that of the epoch before, None in
    the first. `seconds_left`: to the end of the last epoch.
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
Track = Callable[..., AbstractContextManager[tracking.Tracker]]  # (config, epochs_done=n): see tracking.open


class Diverged(EdgebenchError):
    """The loss is no finite number any more."""


def _untracked(config: TrainConfig, epochs_done: int) -> AbstractContextManager[tracking.Tracker]:
    return nullcontext(tracking.Tracker(()))


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    answers: Path | None = None,
    floors: Path | None = None,
    planned: str | None = None,
    track: Track = _untracked,
    listener: Listener = SILENT,
    began: float | None = None,
) -> Artifact:
    """Train by `config` and write the checkpoint folder `out`. Same config, same machine: same weights, bit for bit.

    The checkpoint is the epoch with the best validation accuracy; the test split is used once, at the end. Ctrl-C after
    an epoch ends the run early and keeps the best checkpoint so far, marked `interrupted`. With `resume`, a run that
    was killed or interrupted continues after the last saved epoch. `answers`: the folder that keeps a teacher's answers
    to images; `floors`: that of floors that were computed before (floor.py). `planned`: the identity of the beginning
    that was found when this training was planned; EdgebenchError if it would be another now. `began`: when the command
    started, by time.monotonic(), for a recipe with `minutes`; by default now. Processes that torchrun started train
    together; the first of them does all the rest.
    """
    config.check()
    artifact.ensure_writable(out)
    torch.use_deterministic_algorithms(True, warn_only=True)  # some CUDA kernels have no deterministic form
    torch.utils.deterministic.fill_uninitialized_memory = False  # it takes a tenth of a step; nothing reads that memory
    with distributed.world() as world, malloc.keep_freed_memory():
        began = time.monotonic() if began is None else began
        if world.leads:
            return _train(config, out, resume, answers, floors, planned, track, listener, world, began)
        return _train(config, out, resume, answers, None, planned, _untracked, SILENT, world, began)


def _train(
    config: TrainConfig, out: Path, resume: bool, answers: Path | None, floors: Path | None, planned: str | None,
    track: Track,
    listener: Listener, world: World, began: float,
) -> Artifact:  # fmt: skip
    saved, tensors = RunState(config=config), {}
    saved_run = SavedRun(out)
    if resume:
        saved, tensors = saved_run.load(config, planned)
    elif saved_run.exists() and world.leads:
        listener.say(f"starting over: the unfinished run in {saved_run.folder} is dropped (--resume would continue it)")
    left_s = began + 60 * config.minutes - time.monotonic() if config.minutes and not resume else None
    setup = prepare(
        saved.config, world, out=out, answers=answers, resumed=saved.beginning, planned=planned, left_s=left_s,
        say=listener.say, on_image=listener.on_image, on_answer=listener.on_answer, on_weights=listener.on_weights,
    )  # fmt: skip
    batches = BatchReader(setup.learned, world.device)
    if saved.course:
        setup, course, pacer = planning.go_on(setup, saved.course)
    else:
        setup, course, pacer = planning.begin(
            setup, batches, world, clock=time.monotonic, began=began, say=listener.say
        )
        setup, course = finishing.fit_head(setup, course, world, listener.say)
    config, validation = setup.config, setup.splits.validation
    learner = Learner(setup, world, part_size=saved.part_size or setup.batch_size, say=listener.say)
    best_weights, start = {}, finishing.start_weights(setup)
    if resume:
        best_weights, start = resuming.restore(tensors, learner, saved)
    if config.balance:
        listener.say(balance.sentence(setup.splits.train.labels, setup.splits.info.classes))
    logits_of = correctness.torch_logits(learner.judged, setup.normalised, batch_size=256)

    state = replace(resuming.begun(saved, setup), course=course)
    interrupted, started = False, time.monotonic() - saved.seconds
    epoch = saved.epoch
    try:
        with track(config, epochs_done=saved.epoch) as tracker:
            while epoch < course.epochs:
                epoch, epoch_began = epoch + 1, time.monotonic()
                if config.patience and _epochs_since_best(state.history, config) >= config.patience:
                    epochs = f"{config.patience} epoch{'s' * (config.patience > 1)}"
                    listener.say(f"stopped after epoch {epoch - 1}: no better validation accuracy in {epochs}")
                    break
                size = image_size_at(config, course.progress(epoch - 1))
                figures = _epoch(epoch, setup, learner, batches, state, listener, world)
                right = logits_of(validation.images).argmax(axis=1) == validation.labels if world.leads else np.zeros(1)
                accuracy = world.told(float(right.mean()))
                record = {
                    "epoch": epoch, "loss": figures.loss, "train_accuracy": figures.accuracy,
                    "validation_accuracy": accuracy,
                    finishing.BALANCED: world.told(balance.mean(right, validation.labels) if world.leads else 0.0),
                    "lr": config.lr * figures.lr_share, "images_per_s": figures.images_per_s,
                    "seconds": time.monotonic() - started, "image_size": size,
                }  # fmt: skip
                tracker.log(record)
                # of equal ones the later, which had smaller steps
                if record[finishing.judged_by(config)] >= finishing.best_score(state):
                    state = replace(state, best_accuracy=accuracy, best_epoch=epoch)
                    best_weights = learner.weights()
                course = pacer.again(course, epoch, size, time.monotonic() - epoch_began, world.told)
                state = replace(
                    state, epoch=epoch, part_size=learner.part_size, seconds=time.monotonic() - started, course=course,
                    scaler=learner.scaler.state_dict(), history=(*state.history, record),
                )  # fmt: skip
                if world.leads and saved_run.is_due():
                    saved_run.save(state, resuming.gather(learner, best_weights, start))
    except Diverged:
        saved_run.discard()  # resumed, it would diverge again
        raise
    except KeyboardInterrupt:
        if not state.history:
            raise
        interrupted = True

    if world.leads:
        learner.judged.load_state_dict(best_weights)
        state = finishing.finish(learner.judged, setup, state, start, averaged=learner.average is not None)
        first = checkpoint.write(out, learner.judged, logits_of, setup, state, interrupted)
        if not interrupted:
            saved_run.discard()
            if config.floor:
                floor.add(out, setup.splits, first, floors, say=listener.say)
    world.wait()
    return artifact.read(out)


@dataclass(frozen=True)
class _Epoch:
    """What the training batches of an epoch gave. `lr_share`: the last learning rate as a share of its peak."""

    loss: float
    accuracy: float | None
    lr_share: float
    images_per_s: float


def _epoch(
    epoch: int, setup: Setup, learner: Learner, batches: BatchReader, state: RunState, listener: Listener, world: World
) -> _Epoch:
    """Train for one epoch. Raises Diverged if the loss becomes infinite or NaN."""
    config, steps = setup.config, setup.steps
    # All that is random in an epoch follows from the seed and the epoch's number: a resumed run needs no more.
    order = _order(setup, _generator(config.seed, epoch))
    draw = _generator(config.seed, epoch, world.rank + 1)
    torch.manual_seed(draw.initial_seed())  # dropout and stochastic depth
    learner.begin_epoch()
    course, size = state.course, image_size_at(config, state.course.progress(epoch - 1))
    loss_sum, judged, began = 0.0, 0, time.monotonic()
    chosen = map(world.mine, order[: steps * setup.step_size].split(setup.step_size))
    for step, (images, labels) in enumerate(batches.read(chosen), 1):
        done = (epoch - 1) * steps + step
        progress = course.progress(epoch - 1, step - 1)
        loss, found, lr_share = learner.step(images, labels, draw, progress=progress, size=size)
        loss_sum, judged = loss_sum + loss, judged + found
        if step % READ_LOSS_EVERY.get(world.device.type, 1) and step < steps:
            continue
        mean_loss, (right, labelled) = float(loss_sum) / step, judged.tolist()
        accuracy = right / labelled if labelled else None
        if not math.isfinite(mean_loss):
            raise Diverged(f"the loss became {mean_loss} in epoch {epoch}, step {step}", _against_divergence(config))
        seconds = time.monotonic() - began
        images_per_s = step * setup.step_size / seconds
        listener.on_step(
            TrainingStep(
                epoch=epoch,
                epochs=course.epochs,
                step=step,
                steps=steps,
                loss=mean_loss,
                accuracy=accuracy,
                validation_accuracy=state.history[-1]["validation_accuracy"] if state.history else None,
                images_per_s=images_per_s,
                seconds_left=seconds / step * (course.epochs * steps - done),
            )
        )
    return _Epoch(mean_loss, accuracy, lr_share, images_per_s)


def _epochs_since_best(history: tuple[dict[str, Any], ...], config: TrainConfig) -> int:
    """Epochs since the score on validation first reached its highest value."""
    scores = [record[finishing.judged_by(config)] for record in history]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def _order(setup: Setup, generator: torch.Generator) -> torch.Tensor:
    """The rows of `setup.learned` that an epoch goes over, as many as it has."""
    if not setup.config.balance:
        return torch.randperm(len(setup.learned), generator=generator)
    classes = setup.lesson.classes.cpu() if setup.lesson else torch.from_numpy(setup.learned.labels)
    return balance.order(classes, generator)


def _generator(*numbers: int) -> torch.Generator:
    """A generator seeded by these numbers; another series of numbers gives unrelated random numbers."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1))


def _against_divergence(config: TrainConfig) -> str:
    """What to try when the loss diverges."""
    more = [] if config.clip_grad else ["--clip-grad 1"]
    if config.amp == "fp16":
        more.append("--amp bf16")
    return f"lower the learning rate: --lr {config.lr / 10:g}" + "".join(f"; {one}" for one in more)
