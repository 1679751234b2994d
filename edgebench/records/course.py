"""What a training really did: its plan, as it was measured and changed on the way, and how its weights were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgebench.records.declared import Count, Share, Sized


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Made after `epoch` epochs, at the share `progress` of the learning rate's schedule: `epochs` of them in all."""

    epoch: Count = 0
    progress: Share = 0.0
    epochs: Count


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds, measured before the first step of a training that was given a time.

    `steps_s`: of a step, at each of `sizes`, the pixels a side. `answer_s`: of answering one image. `amp_s`: of a step
    of a few images by the mixed precision that was tried. `start_s` was over before; `end_s` is kept for the end, the
    test split included.
    """

    sizes: tuple[int, ...]
    steps_s: tuple[float, ...]
    answer_s: float
    amp_s: dict[str, float]
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """The stages of a training. The last of `plans` held at the end; `pace` is None for one that was given no time.

    `steps`: in an epoch. `head_accuracy`: on validation, of the head that was fitted to frozen features. `statistics`:
    whether those of batch normalisation were estimated again. `learned_share`: of the fine-tuned weights, where they
    were averaged with those that they began with, as validation chose. None: there was no such stage.
    """

    plans: Annotated[tuple[Plan, ...], Sized(1, 10_000)]
    steps: Count
    pace: Pace | None = None
    head_accuracy: Share | None = None
    statistics: bool | None = None
    learned_share: Share | None = None

    @property
    def epochs(self) -> int:
        return self.plans[-1].epochs

    def progress(self, epoch: int, step: int = 0) -> float:
        """The share of the schedule that is done `step` steps after `epoch` whole epochs."""
        plan = self.plans[-1]
        done, all_of_it = (epoch - plan.epoch) * self.steps + step, (plan.epochs - plan.epoch) * self.steps
        return min(1.0, plan.progress + (1 - plan.progress) * done / max(1, all_of_it))
