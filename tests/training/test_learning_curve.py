"""How many images an accuracy takes: the true number lies in the interval, and doubtful data give no number."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from edgebench.training.learning_curve import ImagesNeeded, Learned, needed

SIZES = (200, 600, 2000)


def learned(
    error: Callable[[int], float], seed: int = 0, seeds: int = 3, sizes: tuple[int, ...] = SIZES, tests: int = 2000,
    spread: float = 0.05,
) -> list[Learned]:  # fmt: skip
    random = np.random.default_rng(seed)
    return [
        Learned(
            train_images=size, test_images=tests,
            wrong=int(random.binomial(tests, min(1.0, error(size) * math.exp(random.normal(0, spread))))),
        )
        for size in sizes for _ in range(seeds)
    ]  # fmt: skip


def power(size: int) -> float:
    return 3.0 * size**-0.4


def test_the_interval_holds_the_true_number_of_images() -> None:
    true = (3.0 / 0.1) ** (1 / 0.4)
    found = [needed("net", learned(power, seed), 0.9) for seed in range(20)]
    told = [each for each in found if each.images is not None]
    held = [each.images_low <= true <= (each.images_high or math.inf) for each in told]
    assert len(told) >= 18 and sum(held) >= len(told) - 2
    assert np.median([each.images for each in told]) == pytest.approx(true, rel=0.15)


def test_the_same_trainings_give_the_same_answer() -> None:
    assert needed("net", learned(power), 0.9) == needed("net", learned(power), 0.9)


@pytest.mark.parametrize(
    ("trainings", "target", "why"),
    [
        (learned(power, sizes=(200, 600)), 0.9, "at least three subsets"),
        (learned(power, seeds=1), 0.9, "at least two seeds"),
        (learned(lambda size: 0.4), 0.9, "did not help"),
        (learned(lambda size: 0.5 if size < 2000 else 0.1), 0.95, "does not follow a power law"),
        (learned(power), 0.999, "more than 10 × 2,000 images"),
        (learned(power), 1.0, "more than 10 × 2,000 images"),
    ],
)
def test_what_the_data_do_not_support_is_not_told(trainings: list[Learned], target: float, why: str) -> None:
    found = needed("net", trainings, target)
    assert found.why.startswith("cannot be told") and why in found.why
    assert found == ImagesNeeded(
        run="net", target=target, images=None, images_low=None, images_high=None, more=None, why=found.why
    )


def test_trainings_without_a_mistake_are_no_error() -> None:
    found = needed("net", learned(lambda size: 0.0, tests=20), 0.99)
    assert found.images is None and "did not help" in found.why
