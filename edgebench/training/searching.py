"""`--search`: compares settings of a recipe on validation, by successive halving, before it is trained.

Each rung trains its settings for as many images or seconds, by a schedule of their own that ends at a rate of zero. The
best third goes on (Jamieson & Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
AISTATS 2016). The best setting of the last rung is then trained from the start, as any recipe is: a network whose short
schedule has ended is no good start for a longer one. So the recipe that was found gives the same checkpoint without the
search.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgebench.errors import EdgebenchError, UsageError
from edgebench.records.course import Course, Pace, Plan
from edgebench.records.search import Search, SearchTrial
from edgebench.training import finishing, fitting, halving, planning, search_space
from edgebench.training.batches import BatchReader
from edgebench.training.data import Images, Splits
from edgebench.training.distributed import World
from edgebench.training.fitting import Diverged
from edgebench.training.listening import Listener
from edgebench.training.planning import LEAST_STEPS, Pacer
from edgebench.training.resuming import RunState
from edgebench.training.setup import Setup, with_settings

SHARE = 0.5  # of the time that --minutes leaves for epochs
SHORTER = 3  # a rung's trainings are so many times shorter than the next one's; the last one's than the final training
PARTS = 3  # at which a training of less than an epoch or two is judged


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """When a search with a time has to end: `until`, by `clock`; and the seconds of a setting's steps, by `pace_of`."""

    clock: planning.Clock
    until: float
    pace_of: Callable[[Setup], Pace]


def without_test(splits: Splits) -> Splits:
    """The splits as a search gets them: it has no test images that it could look at."""
    none = np.array([], np.int64)
    return replace(splits, test=Images(splits.validation.images[none], splits.validation.labels[none]))


def begin(setup: Setup) -> Search:
    """A search of which nothing is done yet."""
    config = setup.config
    settings = search_space.drawn(config, config.search, len(setup.learned))
    rungs, timed = halving.rungs(config.search), config.minutes is not None
    lengths = () if timed else _lengths(setup, len(rungs), max(each["batch_size"] for each in settings))
    return Search(
        trials=tuple(SearchTrial(settings=each) for each in settings), rungs=rungs if timed else rungs[: len(lengths)],
        lengths=lengths, unit="s" if timed else "epochs", validation_images=len(setup.splits.validation),
    )  # fmt: skip


def bounds(
    setup: Setup, pace: Pace, begun: Search, batches: BatchReader, world: World, *, clock: planning.Clock,
    deadline: float,
) -> Bounds:  # fmt: skip
    """The time of a search, for a command that has to end at `deadline`. Raises UsageError if it is too short.

    Times the steps of each batch size and policy of augmentation that it will try.
    """
    paces: dict[tuple[int, str], Pace] = {}

    def pace_of(tried: Setup) -> Pace:
        key = (tried.batch_size, tried.config.augment)
        if key not in paces:
            paces[key] = planning.time_steps(tried, pace, batches, world, clock=clock)
        return paces[key]

    judged_s = len(setup.splits.validation) * pace.answer_s + _finish_s(setup, pace)
    different = {(t.settings["batch_size"], t.settings["augment"]): t.settings for t in begun.trials}
    tried = (with_settings(setup, copy.deepcopy(setup.network), each, world) for each in different.values())
    needed = max(LEAST_STEPS * max(pace_of(each).steps_s) for each in tried) + judged_s
    left = world.told(deadline - clock() - pace.end_s)
    spare = SHARE * (left + begun.seconds) - begun.seconds
    _refuse_too_short(setup, left + begun.seconds, needed, len(begun.rungs))
    return Bounds(clock=clock, until=clock() + spare, pace_of=pace_of)


def search(
    setup: Setup, begun: Search, batches: BatchReader, world: World, *, bounds: Bounds | None,
    keep: Callable[[Search], None], listener: Listener,
) -> Search:  # fmt: skip
    """Do what is left of a search. `setup` has the first weights, and a head that is fitted if the recipe says so.

    `keep` gets the search after each training: with it the search goes on later. `bounds`: for a recipe with minutes.
    Raises EdgebenchError if no setting can be trained, KeyboardInterrupt with a sentence on what is kept.
    """
    setup = replace(setup, splits=without_test(setup.splits))
    made, before, said = begun, time.monotonic() - begun.seconds, listener.say
    for rung, count in enumerate(made.rungs):
        chosen = _best(made, rung)[:count]
        if len(made.lengths) == rung:  # of a search that has a time: each rung has as much as every other
            length = world.told((bounds.until - bounds.clock()) / (len(made.rungs) - rung) / len(chosen))
            if length <= 0 and rung:
                said(f"the search's time is over after {rung} of {len(made.rungs)} rungs")
                made = replace(made, rungs=made.rungs[:rung])
                break
            length = max(0.0, length)
            made = replace(made, lengths=(*made.lengths, length))
        what = f"{made.lengths[rung]:.3g} {made.unit}"
        said(f"search, rung {rung + 1} of {len(made.rungs)}: {len(chosen)} settings, {what} each")
        for place, number in enumerate(chosen, 1):
            trial = made.trials[number]
            if len(trial.accuracies) > rung or trial.failed:
                continue  # it was done before the search was stopped
            part = f"search {rung + 1}/{len(made.rungs)}, setting {place}/{len(chosen)}"
            try:
                done = _tried(setup, trial, made.lengths[rung], batches, world, bounds, listener, part)
            except KeyboardInterrupt:
                said(f"interrupted in the search: {part} is not done; what was done is kept, --resume goes on")
                raise
            told = f"{done.accuracies[-1]:.1%} on validation" if not done.failed else f"out: {done.failed}"
            said(f"{part}: {told}; {trial.title}")
            trials = (*made.trials[:number], done, *made.trials[number + 1 :])
            made = replace(made, trials=trials, seconds=round(time.monotonic() - before, 3))
            keep(made)
    made = replace(made, chosen=_best(made, len(made.rungs))[0])
    keep(made)
    return made


def _best(made: Search, rung: int) -> list[int]:
    """The settings that have been through `rung` rungs, the best of the last one first; of equal ones the earlier."""
    through = [number for number, trial in enumerate(made.trials) if len(trial.accuracies) >= rung]
    if not through:
        why = next(trial.failed for trial in made.trials if trial.failed)
        raise EdgebenchError(f"no setting of the search could be trained: {why}", "a lower --lr")
    return sorted(through, key=lambda n: -made.trials[n].accuracies[rung - 1]) if rung else through


def _lengths(setup: Setup, rungs: int, batch_size: int) -> tuple[float, ...]:
    """The epochs of each training in each rung. A rung that could not be longer than the one before is left out.

    `batch_size`: the largest one; its epochs have the fewest steps.
    """
    epochs, least = setup.config.epochs, LEAST_STEPS * batch_size / len(setup.learned)
    found: list[float] = []
    for rung in range(rungs):
        longer = 2 * found[-1] if found else least
        length = min(float(epochs), max(epochs / SHORTER ** (rungs - rung), longer))
        found += [length] if not found or length > found[-1] else []
    return tuple(found)


def _tried(
    setup: Setup, trial: SearchTrial, length: float, batches: BatchReader, world: World, bounds: Bounds | None,
    listener: Listener, part: str,
) -> SearchTrial:  # fmt: skip
    """The trial after a training of this length from the first weights."""
    began = time.monotonic()
    tried = with_settings(setup, copy.deepcopy(setup.network), trial.settings | {"patience": None}, world)
    if bounds:
        pace = replace(bounds.pace_of(tried), end_s=_finish_s(tried, bounds.pace_of(tried)))
        most = setup.config.epochs or planning.MOST_EPOCHS
        tried, course, pacer = planning.fill(tried, pace, length - pace.end_s, most=most, clock=bounds.clock)
    else:
        tried, course, pacer = _course(tried, length)
    tried = finishing.settle(tried, course)
    quiet = Listener(on_step=lambda step: listener.on_step(replace(step, part=part)))
    try:
        fitted = fitting.fit(
            tried, course, pacer, world, batches, saved=RunState(config=tried.config), tensors={},
            track=fitting.untracked, keep=lambda *state: None, listener=quiet,
        )  # fmt: skip
    except Diverged as error:
        return replace(trial, failed=error.message, seconds=round(trial.seconds + time.monotonic() - began, 3))
    if fitted.interrupted:
        raise KeyboardInterrupt
    accuracy = finishing.best_score(fitted.state)
    if fitted.start_weights and world.leads and not tried.config.balance:
        accuracy = fitted.finished(tried)[1].best_accuracy
    return replace(
        trial, accuracies=(*trial.accuracies, world.told(accuracy)),
        seconds=round(trial.seconds + time.monotonic() - began, 3),
    )  # fmt: skip


def _course(setup: Setup, epochs: float) -> tuple[Setup, Course, Pacer]:
    """The course of about so many epochs, which need not be whole ones: it has parts of the same number of steps."""
    steps = max(1, round(epochs * setup.steps))
    parts = max(1, -(-steps // setup.steps), min(PARTS, steps // LEAST_STEPS))
    course = Course(plans=(Plan(epochs=parts),), steps=min(setup.steps, -(-steps // parts)))
    return replace(setup, steps=course.steps), course, Pacer(clock=lambda: 0.0, deadline=None, most=parts)


def _finish_s(setup: Setup, pace: Pace) -> float:
    """Seconds of the average that ends the training of a setting: see `finishing.finish`."""
    answers = planning.FINISH_ANSWERS * len(setup.splits.validation) if setup.config.head_first else 0
    return answers * pace.answer_s


def _refuse_too_short(setup: Setup, left: float, needed: float, rungs: int) -> None:
    config = setup.config
    each = SHARE * left / (rungs * config.search)
    if each >= needed:
        return
    more = (60 * config.minutes - left + needed * config.search * rungs / SHARE) / 60
    fewer = [n for n in range(2, config.search) if SHARE * left / (len(halving.rungs(n)) * n) >= needed]
    raise UsageError(
        f"--search {config.search} does not fit into --minutes {config.minutes:g}: a setting would get "
        f"{max(0.0, each):.1f} s at first, and {LEAST_STEPS} steps with their validation take {needed:.1f} s",
        f"--minutes {-(-more // 0.1) / 10:g} or more" + (f", or --search {fewer[-1]}" if fewer else ""),
    )
