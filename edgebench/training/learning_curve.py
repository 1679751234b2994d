"""How many training images an accuracy probably takes: a power law of the error, fitted to trainings on subsets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.results import stats

RESAMPLES = 1000
FARTHEST = 10  # times the largest subset: nothing is said of more images than that
LEAST_SLOPE = 0.02  # an exponent below it means that ten times the images take away less than a twentieth of the error


@dataclass(frozen=True, kw_only=True)
class Learned:
    """One training: the images it learned from, and how many of its test images it has wrong."""

    train_images: int
    wrong: int
    test_images: int


@dataclass(frozen=True, kw_only=True)
class ImagesNeeded:
    """The training images that a test accuracy probably takes, with a 95 % interval; `more` than the largest subset.

    `images` is None where it cannot be told; `why` then says why. `images_high` is None where the interval has no end
    within ten times the largest subset.
    """

    run: str
    target: float
    images: int | None
    images_low: int | None
    images_high: int | None
    more: int | None
    why: str = ""


def needed(run: str, learned: Sequence[Learned], target: float) -> ImagesNeeded:
    """Fit error = a · images ** −b by least squares of the logarithms, and read off where it meets the target.

    The interval is a bootstrap over the trainings of each subset and over the test images, widened for few trainings
    (stats.widened). It does not know of a curve that bends: such a fit is refused where it misses the means by more
    than they vary.
    """

    def cannot(why: str) -> ImagesNeeded:
        return ImagesNeeded(run=run, target=target, images=None, images_low=None, images_high=None, more=None, why=why)

    sizes = sorted({one.train_images for one in learned})
    if len(sizes) < 3:
        return cannot("cannot be told: it takes at least three subsets")
    if min(sum(one.train_images == size for one in learned) for size in sizes) < 2:
        return cannot("cannot be told: it takes at least two seeds of each subset")
    by_size = {size: [one for one in learned if one.train_images == size] for size in sizes}
    errors = {size: [_error(one.wrong, one.test_images) for one in found] for size, found in by_size.items()}
    slope, height = _fit(errors)
    if slope < LEAST_SLOPE:
        return cannot("cannot be told: more images did not help here")
    if not _is_straight(errors, by_size, slope, height):
        return cannot("cannot be told: the error does not follow a power law over these subsets")
    images = _meets(slope, height, target)
    most = FARTHEST * sizes[-1]
    if images > most:
        return cannot(f"cannot be told: probably more than {FARTHEST} × {sizes[-1]:,} images")
    low, high = _interval(by_size, math.log(images), target)
    return ImagesNeeded(
        run=run, target=target, images=round(images), images_low=round(math.exp(low)),
        images_high=round(math.exp(high)) if high <= math.log(most) else None, more=max(0, round(images) - sizes[-1]),
    )  # fmt: skip


def _error(wrong: float, test_images: int) -> float:
    """A share whose logarithm is finite: half an image is added to either side."""
    return (wrong + 0.5) / (test_images + 1)


def _fit(errors: Mapping[int, Sequence[float]]) -> tuple[float, float]:
    """The exponent b and the logarithm of a; each subset has the same weight."""
    x = np.log([float(size) for size in errors])
    y = np.array([np.mean(np.log(found)) for found in errors.values()])
    slope = ((x - x.mean()) @ (y - y.mean())) / ((x - x.mean()) @ (x - x.mean()))
    return -float(slope), float(y.mean() - slope * x.mean())


def _meets(slope: float, height: float, target: float) -> float:
    """Images at which the error is that of the target; infinite if it never is."""
    if slope < 1e-6:
        return math.inf
    exponent = (height - math.log(max(1 - target, 1e-9))) / slope
    return math.exp(exponent) if exponent < 50 else math.inf


def _is_straight(
    errors: Mapping[int, Sequence[float]], by_size: Mapping[int, Sequence[Learned]], slope: float, height: float
) -> bool:
    """Whether the mean of each subset is within 3 standard errors of the line, of its seeds and its test images.

    A tenth of the error is allowed in any case: no curve is exactly a power law.
    """
    spread = math.sqrt(np.mean([np.var(np.log(found), ddof=1) for found in errors.values()]))
    for size, found in errors.items():
        mean = float(np.mean(np.log(found)))
        share, tests = math.exp(mean), by_size[size][0].test_images
        of_tests = math.sqrt((1 - share) / (share * tests))
        if abs(mean - (height - slope * math.log(size))) > 0.1 + 3 * math.hypot(
            spread / math.sqrt(len(found)), of_tests
        ):
            return False
    return True


def _interval(by_size: Mapping[int, Sequence[Learned]], centre: float, target: float) -> tuple[float, float]:
    """The logarithms of both ends."""
    random = np.random.default_rng(0)
    logs = []
    for _ in range(RESAMPLES):
        drawn = {}
        for size, found in by_size.items():
            chosen = [found[i] for i in random.integers(0, len(found), len(found))]
            tests = found[0].test_images
            drawn[size] = [_error(random.binomial(tests, _error(c.wrong, tests)), tests) for c in chosen]
        logs.append(math.log(min(_meets(*_fit(drawn), target), 1e30)))
    count = sum(map(len, by_size.values()))
    return stats.widened(np.array(logs), centre, count, count - 2)
