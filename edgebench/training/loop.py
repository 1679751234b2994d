"""Train a backbone: from a config to a checkpoint folder."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch

from edgebench import artifact
from edgebench.measuring import correctness
from edgebench.records.course import Course, Pace
from edgebench.records.recipe import TrainConfig
from edgebench.records.search import Search
from edgebench.specs import Artifact
from edgebench.training import (
    checkpoint,
    distributed,
    finishing,
    floor,
    malloc,
    planning,
    resuming,
    searching,
)
from edgebench.training.batches import BatchReader
from edgebench.training.distributed import World
from edgebench.training.fitting import Diverged, Track, fit, untracked
from edgebench.training.learner import Learner
from edgebench.training.listening import SILENT, Listener
from edgebench.training.planning import Pacer
from edgebench.training.resuming import RunState, SavedRun, Tensors
from edgebench.training.setup import Setup, prepare, with_settings


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    answers: Path | None = None,
    floors: Path | None = None,
    planned: str | None = None,
    track: Track = untracked,
    listener: Listener = SILENT,
    began: float | None = None,
) -> Artifact:
    """Train by `config` and write the checkpoint folder `out`. Same config, same machine: same weights, bit for bit.

    The checkpoint is the epoch with the best validation accuracy; the test split is used once, at the end. Ctrl-C after
    an epoch ends the run early and keeps the best checkpoint so far, marked `interrupted`. With `resume`, a run that
    was killed or interrupted continues after the last saved epoch, or after the last training of its search. `answers`:
    the folder that keeps a teacher's answers to images; `floors`: that of floors that were computed before (floor.py).
    `planned`: the identity of the beginning that was found when this training was planned; EdgebenchError if it would
    be another now. `began`: when the command started, by time.monotonic(), for a recipe with `minutes`; by default now.
    Processes that torchrun started train together; the first of them does all the rest.
    """
    config.check()
    artifact.ensure_writable(out)
    torch.use_deterministic_algorithms(True, warn_only=True)  # some CUDA kernels have no deterministic form
    torch.utils.deterministic.fill_uninitialized_memory = False  # it takes a tenth of a step; nothing reads that memory
    with distributed.world() as world, malloc.keep_freed_memory():
        began = time.monotonic() if began is None else began
        if world.leads:
            return _train(config, out, resume, answers, floors, planned, track, listener, world, began)
        return _train(config, out, resume, answers, None, planned, untracked, SILENT, world, began)


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
    if left_s and config.search:
        left_s *= 1 - searching.SHARE
    setup = prepare(
        saved.config, world, out=out, answers=answers, resumed=saved.beginning if saved.course else None,
        planned=saved.beginning.identity if saved.beginning else planned, left_s=left_s,
        say=listener.say, on_image=listener.on_image, on_answer=listener.on_answer, on_weights=listener.on_weights,
    )  # fmt: skip
    batches = BatchReader(setup.learned, world.device)
    if saved.course:
        setup, course, pacer = planning.go_on(setup, saved.course)
    else:
        setup, course, pacer, found = _begin(setup, saved.search, batches, world, saved_run, began, listener)
        saved = replace(saved, search=found)

    def keep(state: RunState, learner: Learner, best: Tensors, start: Tensors) -> None:
        if world.leads and saved_run.is_due():
            saved_run.save(state, resuming.gather(learner, best, start))

    try:
        fitted = fit(
            setup, course, pacer, world, batches, saved=saved, tensors=tensors, track=track, keep=keep,
            listener=listener,
        )  # fmt: skip
    except Diverged:
        saved_run.discard()  # resumed, it would diverge again
        raise
    if world.leads:
        network, state = fitted.finished(setup)
        logits_of = correctness.torch_logits(network, setup.normalised, batch_size=256)
        first = checkpoint.write(out, network, logits_of, setup, state, fitted.interrupted)
        if not fitted.interrupted:
            saved_run.discard()
            if config.floor:
                floor.add(out, setup.splits, first, floors, say=listener.say)
    world.wait()
    return artifact.read(out)


def _begin(
    setup: Setup, begun: Search | None, batches: BatchReader, world: World, saved_run: SavedRun, began: float,
    listener: Listener,
) -> tuple[Setup, Course, Pacer, Search | None]:  # fmt: skip
    """All that comes before the first epoch: measuring, the fitted head, the search, and the plan.

    `begun`: a search that goes on. `began`: when the command started.
    """
    clock, pace, minutes = time.monotonic, None, setup.config.minutes
    deadline = began + 60 * minutes - (begun.seconds if begun else 0.0) if minutes else None
    if deadline:
        setup, pace = planning.measure(setup, batches, world, clock=clock, began=began)
    head_accuracy = None
    if setup.config.search or begun:
        head_accuracy = finishing.fit_head(setup, world, listener.say)
        setup, pace, begun = _search(setup, pace, begun, batches, world, saved_run, deadline, listener)
    setup, course, pacer = planning.begin(
        setup, pace, world, clock=clock, deadline=deadline, head_fitted=head_accuracy is not None, say=listener.say
    )
    setup = finishing.settle(setup, course)
    if head_accuracy is None:
        head_accuracy = finishing.fit_head(setup, world, listener.say)
    return setup, replace(course, head_accuracy=head_accuracy), pacer, begun


def _search(
    setup: Setup, pace: Pace | None, begun: Search | None, batches: BatchReader, world: World, saved_run: SavedRun,
    deadline: float | None, listener: Listener,
) -> tuple[Setup, Pace | None, Search]:  # fmt: skip
    """The setup of the best setting, and the pace of its steps."""

    def keep(search: Search) -> None:
        if world.leads:
            state = RunState(config=setup.config, beginning=setup.beginning, search=search)
            saved_run.save(state, {})

    begun = begun or searching.begin(setup)
    bounds = None
    if pace is not None:
        bounds = searching.bounds(setup, pace, begun, batches, world, clock=time.monotonic, deadline=deadline)
    done = searching.search(setup, begun, batches, world, bounds=bounds, keep=keep, listener=listener)
    listener.say(f"search: the best is {done.best.title}; it is trained from the start now")
    setup = with_settings(setup, setup.network, done.best.settings | {"search": None}, world)
    return setup, bounds.pace_of(setup) if bounds else None, done
