"""Plans a training by the clock: what a few steps take, how many epochs end on time, and again after each epoch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from edgebench.errors import UsageError
from edgebench.records.course import Course, Pace, Plan
from edgebench.training import floor
from edgebench.training.batches import BatchReader
from edgebench.training.distributed import World
from edgebench.training.learner import Learner
from edgebench.training.setup import Setup
from edgebench.training.sizing import image_sizes

TIMED = 3  # steps of each kind: the fastest counts, after one that is not timed
LEAST_STEPS = 20  # fewer move no weight far
PARTS = 8  # an epoch is cut short if fewer of them fit: the plan is made again after each
MOST_EPOCHS = 300
MARGIN_S, MARGIN = 1.5, 0.03  # kept free, the second as a share of the time
FEW = 8  # images of a step that tries mixed precision: a CPU without it takes twenty times as long
FASTER = 0.9  # mixed precision has to take at most this share of a plain step's time
FIRST, FIRST_S = 10.0, 1.0  # a trial's first step, which prepares the kernels, may take so many plain steps and seconds
FINISH_ANSWERS = 6  # times that the validation images are answered after the last epoch
Clock = Callable[[], float]


@dataclass(kw_only=True)
class Pacer:
    """Keeps a training in its time. `deadline` by `clock` is None for one that was given none, or that was resumed."""

    clock: Clock
    deadline: float | None
    most: int
    progressive: float = 0.0
    epochs_s: dict[int, float] = field(default_factory=dict)  # by the pixels a side, of the last epoch

    def again(
        self, course: Course, epoch: int, size: int, seconds: float, told: Callable[[float], float] = float
    ) -> Course:
        """The course after `epoch` epochs, of which the last took `seconds`: other epochs if it has to be.

        `told`: the leading process's number, in all processes.
        """
        if self.deadline is None or course.pace is None:
            return course
        predicted, self.epochs_s[size] = self.epochs_s[size], told(seconds)
        for other in self.epochs_s:
            if other > size:  # not seen yet: as much faster or slower than planned as this one
                self.epochs_s[other] *= self.epochs_s[size] / predicted
        left = told(self.deadline - self.clock() - course.pace.end_s)
        progress = course.progress(epoch)
        if progress >= 1:
            return course
        fits = min(self.most, epoch + max(0, epochs_in(left, self.epochs_s, progress, self.progressive)))
        longer = fits > course.epochs + max(1, course.epochs // 20)
        if fits >= course.epochs and not longer:
            return course
        return replace(course, plans=(*course.plans, Plan(epoch=epoch, progress=progress, epochs=max(epoch, fits))))


def go_on(setup: Setup, course: Course) -> tuple[Setup, Course, Pacer]:
    """The same for a resumed run, which keeps its course."""
    setup = replace(setup, steps=course.steps)
    return setup, course, Pacer(clock=lambda: 0.0, deadline=None, most=course.epochs)


def epochs_in(left_s: float, epochs_s: dict[int, float], progress: float = 0.0, progressive: float = 0.0) -> int:
    """How many epochs fit into `left_s`. `epochs_s`: what one takes, by its pixels a side.

    The sizes before the largest share the part of the schedule up to `progressive` equally.
    """
    *smaller, full = sorted(epochs_s)
    mean, rest = 0.0, 1.0 - progress
    for number, size in enumerate(smaller):
        begins, ends = (progressive * n / len(smaller) for n in (number, number + 1))
        mean += max(0.0, ends - max(begins, progress)) / max(rest, 1e-9) * epochs_s[size]
    mean += (1.0 - max(progressive if smaller else 0.0, progress)) / max(rest, 1e-9) * epochs_s[full]
    return int(max(0.0, left_s) / mean)


def begin(
    setup: Setup, pace: Pace | None, world: World, *, clock: Clock, deadline: float | None, head_fitted: bool,
    say: Callable[[str], None],
) -> tuple[Setup, Course, Pacer]:  # fmt: skip
    """The setup and the course of a new training. `pace`, and `deadline` by `clock`, of one that was given a time.

    Raises UsageError if that is too short.
    """
    config = setup.config
    if pace is None or deadline is None:
        course = Course(plans=(Plan(epochs=config.epochs),), steps=setup.steps)
        return setup, course, Pacer(clock=clock, deadline=None, most=config.epochs)
    left = world.told(deadline - clock() - pace.end_s - (0.0 if head_fitted else head_s(setup, pace)))
    _refuse_too_short(config.minutes, left, pace, len(setup.splits.validation) * pace.answer_s)
    most = config.epochs or MOST_EPOCHS
    setup, course, pacer = fill(setup, pace, left, most=most, clock=clock)
    setup = replace(setup, config=replace(config, epochs=course.epochs))
    part = "" if course.steps == len(setup.learned) // setup.step_size else (
        f", each of {course.steps * setup.step_size} images"
    )  # fmt: skip
    mixed = f", {config.amp}" if config.amp != "none" else ""
    say(
        f"--minutes {config.minutes:g}: {course.epochs} epochs{part}{mixed}; a step takes {pace.steps_s[-1]:.3f} s, "
        f"the start {pace.start_s:.0f} s and the end with {len(setup.splits.test):,} test images {pace.end_s:.0f} s"
    )
    return setup, course, replace(pacer, deadline=deadline)


def fill(setup: Setup, pace: Pace, left_s: float, *, most: int, clock: Clock) -> tuple[Setup, Course, Pacer]:
    """A course of at most `most` epochs that fills the seconds that are left for its epochs, and what keeps it in them.

    An epoch is a part of the images where fewer than PARTS whole ones fit. At least one epoch of one step.
    """
    steps, steps_s = setup.steps, dict(zip(pace.sizes, pace.steps_s, strict=True))
    full, validation_s = max(pace.sizes), len(setup.splits.validation) * pace.answer_s
    if left_s < PARTS * (steps * steps_s[full] + validation_s):
        parts = max(1, min(PARTS, int(left_s / (LEAST_STEPS * steps_s[full] + validation_s))))
        steps = min(steps, max(1, int((left_s / parts - validation_s) / steps_s[full])))
    progressive = setup.config.progressive if len(steps_s) > 1 else 0.0
    epochs_s = {size: steps * step_s + validation_s for size, step_s in steps_s.items()}
    epochs = max(1, min(most, epochs_in(left_s, epochs_s, 0.0, progressive)))
    course = Course(plans=(Plan(epochs=epochs),), steps=steps, pace=pace)
    deadline = clock() + left_s + pace.end_s
    pacer = Pacer(clock=clock, deadline=deadline, most=most, progressive=progressive, epochs_s=epochs_s)
    return replace(setup, steps=steps), course, pacer


def head_s(setup: Setup, pace: Pace) -> float:
    """Seconds that fitting the head takes: its features, and half as much for the fit."""
    answers = (1 + setup.config.flip) * len(setup.splits.train) + len(setup.splits.validation)
    return 1.5 * answers * pace.answer_s if setup.config.head_first else 0.0


def _refuse_too_short(minutes: float, left: float, pace: Pace, validation_s: float) -> None:
    needed = LEAST_STEPS * max(pace.steps_s) + validation_s
    if left >= needed:
        return
    told = max(0.1, (60 * minutes - left + 2 * needed) / 60)
    raise UsageError(
        f"--minutes {minutes:g} is too short: start and end take {60 * minutes - left:.0f} s here, and "
        f"{LEAST_STEPS} steps {needed:.0f} s",
        f"--minutes {-(-told // 0.1) / 10:g} or more; smaller images, a smaller network or fewer images take less",
    )


def measure(setup: Setup, batches: BatchReader, world: World, *, clock: Clock, began: float) -> tuple[Setup, Pace]:
    """Time a few steps of a copy of the network, which is then thrown away. Chooses the mixed precision.

    `began`: when the command started, by `clock`.
    """
    start_s, config, amp_s = clock() - began, setup.config, {}
    if config.amp == "auto":
        few = replace(setup, step_size=min(setup.step_size, FEW * world.size))
        for amp in ("none", "bf16"):
            trial = replace(few, config=replace(config, amp=amp))
            amp_s[amp] = world.told(_step_s(trial, batches, world, config.image_size, clock, amp_s.get("none")))
        amp = "bf16" if amp_s["bf16"] < FASTER * amp_s["none"] else "none"
        setup = replace(setup, config=replace(config, amp=amp))
    answer_s, splits = world.told(_answer_s(setup, clock)), setup.splits
    answers = len(splits.test) + FINISH_ANSWERS * len(splits.validation) + min(len(splits.train), 2048)
    end_s = answers * answer_s + MARGIN_S + MARGIN * 60 * config.minutes
    end_s += floor.expected_s(len(splits.train)) if config.floor else 0.0
    pace = Pace(
        sizes=image_sizes(setup.config), steps_s=(), answer_s=answer_s, amp_s=amp_s, start_s=round(start_s, 3),
        end_s=end_s,
    )  # fmt: skip
    return setup, time_steps(setup, pace, batches, world, clock=clock)


def time_steps(setup: Setup, pace: Pace, batches: BatchReader, world: World, *, clock: Clock) -> Pace:
    """The pace with the seconds of this setup's steps, which go with its batches and its augmentation."""
    steps_s = tuple(world.told(_step_s(setup, batches, world, size, clock)) for size in pace.sizes)
    return replace(pace, steps_s=steps_s)


def _step_s(
    setup: Setup, batches: BatchReader, world: World, size: int, clock: Clock, rival_s: float | None = None
) -> float:
    """Seconds of a step of a copy of the network. See `trial_s` for `rival_s`."""
    setup = replace(
        setup, network=copy.deepcopy(setup.network), config=replace(setup.config, ema=setup.config.ema or 0.0)
    )
    learner = Learner(setup, world, part_size=setup.batch_size, say=lambda sentence: None)
    draw = torch.Generator().manual_seed(0)
    rows = torch.arange(setup.step_size)

    def step() -> None:
        ((images, labels),) = batches.read([world.mine(rows)])
        learner.begin_epoch()
        learner.step(images, labels, draw, progress=0.5, size=size)
        if world.device.type == "cuda":
            torch.cuda.synchronize()

    return trial_s(step, clock, world.told, rival_s)


def trial_s(step: Callable[[], None], clock: Clock, told: Callable[[float], float], rival_s: float | None) -> float:
    """Seconds that `step` takes, of a few tries. One that is clearly slower than `rival_s` ends the trial: it has lost.

    `told`: the leading process's number, in all processes, so that all end together.
    """
    times: list[float] = []
    while len(times) <= TIMED:
        began = clock()
        step()
        times.append(told(clock() - began))
        if rival_s is not None and times[-1] > (rival_s if len(times) > 1 else FIRST * rival_s + FIRST_S):
            return times[-1]
    return min(times[1:]) * 0.4 + sorted(times[1:])[TIMED // 2] * 0.6


def _answer_s(setup: Setup, clock: Clock) -> float:
    """Seconds of answering one image."""
    network, some = copy.deepcopy(setup.network).eval(), setup.splits.validation.images[:128]
    device = next(network.parameters()).device
    times = []
    with torch.no_grad():
        for _ in range(2):
            began = clock()
            images = torch.from_numpy(some.copy()).permute(0, 3, 1, 2).to(device)
            network(setup.normalised(images)).float().cpu()
            times.append(clock() - began)
    return min(times) / len(some)
