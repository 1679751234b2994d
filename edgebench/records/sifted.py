"""A sieve of many candidates as data: what it is asked, and how well the features of each tell the classes apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgebench.records.recipe import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Sieve:
    """Candidates that begin with learned weights, and the time for all of them. `planned`: by model, the identity of
    the weights that were found (`Beginning.identity`)."""

    configs: tuple[TrainConfig, ...]
    planned: dict[str, str]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Sifted:
    """One candidate. `accuracy`: share of `images` training images, of `pixels` a side, that is right.

    Each of them is left out once when the classifier is fitted to the frozen features of the others. `image_s`: of
    this machine's time for one image, forward. `usual_size`: pixels that its weights were made for. `rounds`: how many
    it was kept for. `why`: the reason where there is no accuracy.
    """

    model: str
    accuracy: float | None = None
    images: int = 0
    pixels: int = 0
    image_s: float | None = None
    usual_size: int | None = None
    rounds: int = 0
    why: str = ""

    def clearly_above(self, other: Sifted) -> bool:
        """Whether its lead is more than three standard errors of the difference of two independent shares."""
        images = min(self.images, other.images)
        if self.accuracy is None or other.accuracy is None or not images:
            return False
        return self.accuracy - other.accuracy > 3 * math.sqrt(0.5 / images)


@dataclass(frozen=True, kw_only=True)
class SieveAnswer:
    """What a sieve found, the best candidate first. `seconds`: how long it took."""

    found: tuple[Sifted, ...] = ()
    seconds: float = 0.0
