"""What a search for settings tried before a training, and what each setting reached on the validation images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from edgebench.records.declared import Amount, Count, Share, Sized
from edgebench.records.recipe import TrainConfig

WORDS = {"lr": "lr", "weight_decay": "weight decay", "batch_size": "batch", "shift": "shift"}


@dataclass(frozen=True, kw_only=True)
class SearchTrial:
    """One setting: fields of the recipe by name.

    `accuracies`: on validation (balanced, with --balance), after its training in each rung that it was in, so it ended
    in rung `len(accuracies)`. `seconds`: of these trainings. `failed`: why a training of it gave none; it is then out.
    """

    settings: dict[str, Any]
    accuracies: tuple[Share, ...] = ()
    seconds: Amount = 0.0
    failed: str = ""

    @property
    def title(self) -> str:
        """The setting in words: lr 0.0021, weight decay 0.05, batch 64, shift 0.1, trivialaugment, mixup 0.2."""
        given = self.settings
        words = [f"{word} {given[name]:g}" for name, word in WORDS.items()]
        words += [given["augment"]] * (given["augment"] != "none")
        return ", ".join([*words, *(f"{name} {given[name]:g}" for name in ("mixup", "cutmix") if given[name])])


@dataclass(frozen=True, kw_only=True)
class Search:
    """The settings that were compared, before the best one was trained as any other recipe. The first is as given.

    `rungs`: how many settings were trained in each; every rung keeps the best third, and trains it three times as
    long. `lengths`: of each training in a rung, as planned, in epochs or seconds: see `unit`. `chosen`: the
    number of the best in the last rung, from 0; None while the search goes on. `seconds`: of the whole search.
    """

    trials: Annotated[tuple[SearchTrial, ...], Sized(1, 10_000)]
    rungs: tuple[Count, ...]
    lengths: tuple[Amount, ...] = ()
    unit: Literal["epochs", "s"] = "epochs"
    validation_images: Count = 0
    seconds: Amount = 0.0
    chosen: Count | None = None

    def contradiction(self) -> str:
        beyond = self.chosen is not None and self.chosen >= len(self.trials)
        return f"it chose setting {self.chosen} of {len(self.trials)}" if beyond else ""

    @property
    def given(self) -> SearchTrial:
        """The recipe as it was given."""
        return self.trials[0]

    @property
    def best(self) -> SearchTrial | None:
        return None if self.chosen is None else self.trials[self.chosen]

    def asked(self, config: TrainConfig) -> TrainConfig:
        """The recipe that was searched around, from the one that was found."""
        return replace(config, search=len(self.trials), **self.given.settings)
