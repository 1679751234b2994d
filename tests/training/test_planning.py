"""A training that was given a time: how many epochs fit, and how the plan changes when steps get slower."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from edgebench.records.course import Course, Pace, Plan
from edgebench.records.recipe import TrainConfig
from edgebench.training import optimization
from edgebench.training.planning import Pacer, epochs_in, trial_s
from edgebench.training.sizing import image_size_at, image_sizes

PACE = Pace(sizes=(32,), steps_s=(0.5,), answer_s=0.001, amp_s={"none": 1.0}, start_s=5.0, end_s=10.0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_epochs_of_one_size_fill_the_time() -> None:
    assert epochs_in(100, {32: 10.0}) == 10
    assert epochs_in(99, {32: 10.0}) == 9
    assert epochs_in(-5, {32: 10.0}) == 0


def test_smaller_images_first_make_room_for_more_epochs() -> None:
    sizes = {16: 2.5, 24: 5.0, 32: 10.0}
    # 0.3 of the schedule at 2.5 s, 0.3 at 5 s and 0.4 at 10 s: 6.25 s on average
    assert epochs_in(100, sizes, 0.0, 0.6) == 16
    assert epochs_in(100, sizes, 0.6, 0.6) == 10, "only large ones are left"


def run(pacer: Pacer, clock: Clock, course: Course, slower_after: int, factor: float) -> tuple[Course, list[float]]:
    """Epochs of 10 s, or that times `factor` after `slower_after` of them. Also the rate's shares at their ends."""
    epoch, shares = 0, []
    while epoch < course.epochs:
        epoch += 1
        seconds = 10.0 * (factor if epoch > slower_after else 1.0)
        clock.now += seconds
        progress = course.progress(epoch - 1, course.steps)
        shares.append(0.5 * (1 + math.cos(math.pi * progress)))
        course = pacer.again(course, epoch, 32, seconds)
    return course, shares


def timed(deadline: float, clock: Clock) -> tuple[Pacer, Course]:
    pacer = Pacer(clock=clock, deadline=deadline, most=300, epochs_s={32: 10.0})
    return pacer, Course(plans=(Plan(epochs=int((deadline - PACE.end_s) / 10)),), steps=20, pace=PACE)


@pytest.mark.parametrize("factor", [1.0, 1.6, 3.0])
def test_slower_steps_shorten_the_schedule_and_its_rate_still_ends_at_zero(factor: float) -> None:
    clock = Clock()
    course, shares = run(*(timed(210, clock)[0], clock, timed(210, clock)[1]), slower_after=6, factor=factor)
    assert clock.now <= 210 - PACE.end_s + 1e-6, "it ends on time"
    assert shares == sorted(shares, reverse=True) and shares[-1] == pytest.approx(0, abs=1e-9)
    assert (len(course.plans) == 1) == (factor == 1.0)
    assert course.progress(course.epochs) == 1.0


def test_faster_steps_lengthen_it() -> None:
    clock = Clock()
    pacer, course = timed(210, clock)
    course, shares = run(pacer, clock, course, slower_after=4, factor=0.5)
    assert course.epochs > 30 and clock.now <= 200
    assert shares[-1] == pytest.approx(0, abs=1e-9)


def test_without_a_time_and_after_resuming_the_course_stays() -> None:
    course = Course(plans=(Plan(epochs=3),), steps=5)
    assert Pacer(clock=Clock(), deadline=None, most=3).again(course, 1, 32, 1e6) == course


def test_a_new_plan_begins_where_the_old_one_was() -> None:
    old = Course(plans=(Plan(epochs=10),), steps=4)
    new = replace(old, plans=(*old.plans, Plan(epoch=5, progress=old.progress(5), epochs=7)))
    assert new.progress(5) == old.progress(5) == 0.5
    assert new.progress(6) == 0.75 and new.progress(7) == 1.0
    assert new.progress(5, 2) == 0.625


def test_the_rate_rises_then_falls_to_zero() -> None:
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": 1.0, "peak_lr": 1.0}])
    shares = [optimization.set_lr(optimizer, progress / 1000, 0.1) for progress in range(1001)]
    top = shares.index(max(shares))
    assert 90 <= top <= 110 and shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True) and shares[-1] == pytest.approx(0)


def test_smaller_images_come_first() -> None:
    config = TrainConfig(image_size=32, progressive=0.6)
    assert image_sizes(config) == (16, 24, 32)
    seen = [image_size_at(config, progress / 10) for progress in range(10)]
    assert seen == [16] * 3 + [24] * 3 + [32] * 4
    assert image_sizes(TrainConfig(image_size=32, progressive=0.0)) == (32,)
    assert image_sizes(TrainConfig(image_size=16, progressive=0.6)) == (16,), "half of it would show nothing"
    assert image_size_at(TrainConfig(image_size=32, progressive=0.0), 0.1) == 32


@pytest.mark.parametrize(
    ("seconds", "rival_s", "told", "steps"),
    [
        ([2.0, 0.3, 0.1, 0.2], None, 0.16, 4),  # the first prepares; then the fastest and the middle one
        ([2.0, 0.3, 0.1, 0.2], 0.3, 0.16, 4),
        ([6.0], 0.25, 6.0, 1),  # not even the kernels that are prepared once can take so long
        ([2.0, 0.3], 0.25, 0.3, 2),
    ],
)
def test_a_trial_ends_once_it_has_lost(seconds: list[float], rival_s: float | None, told: float, steps: int) -> None:
    clock, done = Clock(), 0

    def step() -> None:
        nonlocal done
        clock.now += seconds[done]
        done += 1

    assert trial_s(step, clock, float, rival_s) == pytest.approx(told)
    assert done == steps
