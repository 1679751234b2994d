"""The stages around the epochs as a run has them: the head that is fitted first, the averages that are chosen last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from edgebench.records.course import Course
from edgebench.records.recipe import TrainConfig
from edgebench.training import first_head, stages
from edgebench.training.distributed import World
from edgebench.training.resuming import RunState
from edgebench.training.setup import Setup
from edgebench.training.stages import Weights

BALANCED = "validation_balanced_accuracy"  # in the record of an epoch
AVERAGED = 0.05  # the default average of weights reaches back over this share of the steps


def judged_by(config: TrainConfig) -> str:
    """The figure of an epoch's record by which the best one is chosen."""
    return BALANCED if config.balance else "validation_accuracy"


def best_score(state: RunState) -> float:
    """That figure of the best epoch so far; -1 before the first."""
    return state.history[state.best_epoch - 1][judged_by(state.config)] if state.best_epoch else -1.0


def fit_head(setup: Setup, world: World, say: Callable[[str], None]) -> float | None:
    """Fit the head if the recipe says so. Returns its accuracy on validation, None if it does not."""
    config, splits = setup.config, setup.splits
    if not config.head_first:
        return None
    accuracy = first_head.fit_head(
        setup.network, splits.train, splits.validation, setup.normalised, flip=config.flip,
        classes=len(splits.info.classes), balanced=config.balance,
    )  # fmt: skip
    say(f"head fitted to frozen features: validation accuracy {accuracy:.4f}")
    return world.told(accuracy)


def settle(setup: Setup, course: Course) -> Setup:
    """The setup whose recipe has the epochs of the course, and the decay of the average that goes with its steps."""
    config, ema = setup.config, setup.config.ema
    if ema is None:
        wanted = config.minutes is not None or config.head_first
        horizon = max(10.0, AVERAGED * course.epochs * course.steps)
        ema = round(1 - 1 / horizon, 6) if wanted else 0.0
    return replace(setup, config=replace(config, ema=ema, epochs=course.epochs))


def start_weights(setup: Setup) -> Weights:
    """A copy of the weights that are averaged with the fine-tuned ones at the end; empty if none are."""
    if not setup.config.head_first:
        return {}
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in setup.network.state_dict().items()}


def finish(network: nn.Module, setup: Setup, state: RunState, start: Weights, *, averaged: bool) -> RunState:
    """Improve the weights of the best epoch in `network`, by validation alone. Returns the state of the end."""
    config = replace(state.config, epochs=state.course.epochs)
    state = replace(state, config=config)
    validation, train = setup.splits.validation, setup.splits.train
    if start:
        start = {name: tensor.to(next(network.parameters()).device) for name, tensor in start.items()}
        share, found = stages.chosen_average(network, start, validation, setup.normalised, config.balance)
        return replace(state, best_accuracy=found.accuracy, course=replace(state.course, learned_share=share))
    if averaged and stages.has_statistics(network):
        score = best_score(state)
        found = stages.chosen_statistics(network, train, validation, setup.normalised, score, config.balance)
        accuracy = found.accuracy if found else state.best_accuracy
        return replace(state, best_accuracy=accuracy, course=replace(state.course, statistics=found is not None))
    return state
