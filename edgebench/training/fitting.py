"""Fits a network: the loop over epochs and steps, from a setup to the weights that are best on validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from edgebench.errors import EdgebenchError
from edgebench.measuring import correctness
from edgebench.records.course import Course
from edgebench.records.recipe import TrainConfig
from edgebench.training import balance, finishing, resuming, tracking
from edgebench.training.batches import BatchReader
from edgebench.training.distributed import World
from edgebench.training.learner import Learner
from edgebench.training.listening import Listener, TrainingStep
from edgebench.training.planning import Pacer
from edgebench.training.resuming import RunState, Tensors
from edgebench.training.setup import Setup
from edgebench.training.sizing import image_size_at

READ_LOSS_EVERY = {"cpu": 1, "cuda": 10}  # steps: reading the loss makes the host wait for the device

Track = Callable[..., AbstractContextManager[tracking.Tracker]]  # (config, epochs_done=n, say=…): tracking.open
Keep = Callable[[RunState, Learner, Tensors, Tensors], None]  # saves a state, with the best and the first weights


class Diverged(EdgebenchError):
    """The loss is no finite number any more."""


def untracked(
    config: TrainConfig, epochs_done: int, say: Callable[[str], None]
) -> AbstractContextManager[tracking.Tracker]:
    """A Track that keeps nothing."""
    return nullcontext(tracking.Tracker(()))


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A network after its epochs. `best_weights`: of the best one; `start_weights`: see `finishing.start_weights`."""

    learner: Learner
    state: RunState
    best_weights: Tensors
    start_weights: Tensors
    interrupted: bool

    def finished(self, setup: Setup) -> tuple[nn.Module, RunState]:
        """The network with the weights of the best epoch, improved by validation alone, and the state of the end."""
        network, averaged = self.learner.judged, self.learner.average is not None
        network.load_state_dict(self.best_weights)
        return network, finishing.finish(network, setup, self.state, self.start_weights, averaged=averaged)


def fit(
    setup: Setup, course: Course, pacer: Pacer, world: World, batches: BatchReader, *, saved: RunState,
    tensors: Tensors, track: Track, keep: Keep, listener: Listener,
) -> Fitted:  # fmt: skip
    """Train the network of `setup` for the epochs of `course`, from the state `saved` on. Never sees test images.

    `tensors`: those of a run that goes on, {} for a new one. `keep` gets the state after each epoch. Ctrl-C after an
    epoch ends it early. Raises Diverged if the loss becomes infinite or NaN.
    """
    config, validation = setup.config, setup.splits.validation
    learner = Learner(setup, world, part_size=saved.part_size or setup.batch_size, say=listener.say)
    best_weights, start = {}, finishing.start_weights(setup)
    if tensors:
        best_weights, start = resuming.restore(tensors, learner, saved)
    if config.balance:
        listener.say(balance.sentence(setup.splits.train.labels, setup.splits.info.classes))
    logits_of = correctness.torch_logits(learner.judged, setup.normalised, batch_size=256)
    state = replace(resuming.begun(saved, setup), course=course)
    interrupted, started = False, time.monotonic() - saved.seconds
    epoch = saved.epoch
    try:
        with track(config, epochs_done=saved.epoch, say=listener.say) as tracker:
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
                keep(state, learner, best_weights, start)
    except KeyboardInterrupt:
        if not state.history:
            raise
        interrupted = True
    return Fitted(
        learner=learner, state=state, best_weights=best_weights, start_weights=start, interrupted=interrupted
    )  # fmt: skip


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
