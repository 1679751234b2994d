"""How a pick divides its time: shares of the budget, and the image sizes and trainings that fit into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.records.sifted import Sifted
from edgebench.training import sizing

SIEVE_UNTIL = 0.25  # share of the budget that is over when the first look at all candidates ends
TRIALS_UNTIL = 0.5  # … and when the trial runs end, except that of the first
FINALS_SHARE = 0.25  # of the budget, for the final measurements of others than the best
MARGIN = 0.05  # of the budget, kept free to the end
START_S = 30.0  # of a trial run besides the features: two processes start, an export is checked
LEAST_TRAINING_S = 40.0  # a shorter training learns nothing
WORTHWHILE = 1.5  # times the lowest validation error: whoever has more is not trained longer
PLANNED = 0.9  # of the time for a training; the rest is for its start and its answers to the test split


@dataclass(frozen=True, kw_only=True)
class Counted:
    """About how many images the splits have."""

    train: int
    validation: int
    test: int

    @staticmethod
    def of(images: int) -> Counted:
        """Of a dataset without splits of its own: a fifth is for the test, an eighth of the rest validates."""
        test = round(images * 0.2)
        validation = max(1, round((images - test) / 8))
        return Counted(train=max(1, images - test - validation), validation=validation, test=test)


def sizes(seen: Sifted, most: int | None = None) -> list[int]:
    """Pixels a side that a network may get: at most those that its weights were made for, and at most `most`."""
    usual = min(seen.usual_size or sizing.SIZES[0], most or sizing.SIZES[0])
    return [size for size in sizing.SIZES if size <= usual] or [usual]


def probe_size(seen: Sifted, counted: Counted, slot_s: float, most: int | None = None) -> int:
    """Pixels a side at which the features of all images and mirror images are likely to be ready in `slot_s`."""
    passes = 2 * counted.train + counted.validation + 2 * counted.test
    return sizing.largest(passes * (seen.image_s or 0.0), seen.pixels or 1, slot_s - START_S, sizes(seen, most))


def training_s(seen: Sifted, counted: Counted) -> float:
    """About how long a fine-tuning of a few epochs takes at `seen.pixels` a side, its fitted head included."""
    answers = counted.test + sizing.EPOCHS * counted.validation + 3 * counted.train
    return (seen.image_s or 0.0) * (3 * sizing.EPOCHS * counted.train + answers)


def training_size(seen: Sifted, counted: Counted, slot_s: float, most: int | None = None) -> int:
    """Pixels a side at which a few epochs fit into `slot_s`."""
    return sizing.largest(training_s(seen, counted), seen.pixels or 1, PLANNED * slot_s, sizes(seen, most))


def trainings(least_s: Sequence[float], free_s: float, most: int) -> int:
    """How many of the best candidates are trained: each gets an equal share of `free_s`, which holds its `least_s`.

    None if the time is too short for any.
    """
    if free_s < LEAST_TRAINING_S:
        return 0
    fitting = [n for n in range(1, min(most, len(least_s)) + 1) if max(least_s[:n]) <= free_s / n]
    return max(fitting, default=1)
