"""The settings that `--search` tries: drawn around a recipe, from its seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebench.records.recipe import TrainConfig

FACTORS = {"lr": 5.0, "weight_decay": 10.0}  # a drawn value is up to so many times more or less than the recipe's
BATCHES = (0.5, 1.0, 2.0)  # of the recipe's batch size, each as likely
LEAST_BATCH, MOST_BATCH_SHARE = 8, 1 / 8  # images; of the training images: an epoch of a few steps says little
MIXUP = (0.1, 0.8)  # α, by its logarithm
CUTMIX = 1.0  # α
OFTEN = 1 / 3  # of the drawn settings have mixup, and CutMix, and TrivialAugment
SHIFT = (0.05, 0.2)


def names() -> tuple[str, ...]:
    """The fields of a recipe that a search decides."""
    return (*FACTORS, "batch_size", "augment", "mixup", "cutmix", "shift")


def drawn(config: TrainConfig, count: int, images: int) -> tuple[dict[str, Any], ...]:
    """`count` settings for a recipe that has its learning rate: the recipe's own, then others, drawn by its seed.

    Learning rate and weight decay follow a Latin hypercube over their logarithms: a few settings cover the whole range.
    `images`: of the training.
    """
    rng, others = np.random.default_rng([config.seed, count]), count - 1
    given = {name: getattr(config, name) for name in names()}
    spread = {name: _spread(rng, others) for name in FACTORS}
    around = (round(given["batch_size"] * factor) for factor in BATCHES)
    batches = [n for n in around if LEAST_BATCH <= n <= MOST_BATCH_SHARE * images] or [given["batch_size"]]
    found = [given]
    for i in range(others):
        rates = {name: _round(given[name] * factor ** (2 * spread[name][i] - 1)) for name, factor in FACTORS.items()}
        found.append(
            rates | {
                "batch_size": _of(rng, batches),
                "augment": "trivialaugment" if rng.random() < OFTEN else given["augment"],
                "mixup": _round(_between(rng, MIXUP)) if rng.random() < OFTEN else given["mixup"],
                "cutmix": CUTMIX if rng.random() < OFTEN else given["cutmix"],
                "shift": _round(_between(rng, SHIFT)),
            }
        )  # fmt: skip
    return tuple(found)


def _spread(rng: np.random.Generator, count: int) -> np.ndarray:
    """One number in each of `count` equal parts of [0, 1], in a random order."""
    return (rng.permutation(count) + rng.random(count)) / max(1, count)


def _between(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A number between two, by its logarithm."""
    return math.exp(rng.uniform(*map(math.log, bounds)))


def _of(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _round(value: float) -> float:
    return float(f"{value:.3g}")
