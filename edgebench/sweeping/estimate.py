"""How long the steps of a sweep will take, from how long similar ones took in this workspace."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.machine import scenario_registry
from edgebench.measuring.options import RunOptions
from edgebench.sweeping.steps import Adopt, Export, Measure, Step, StepOutcome, Train, alone, told

# Before a launch measures: starting a process, loading a runtime and a network of 100 M parameters, checking it.
LOADING_S = 10.0


@dataclass(frozen=True)
class Estimate:
    """How long steps may take, in seconds.

    `known` counts the steps that are as long as similar ones before, `bounded` those that a limit of time bounds. Both
    are in `seconds`. `unknown` counts the others, by kind.
    """

    seconds: float
    known: int
    bounded: int
    unknown: Mapping[str, int]

    def sentence(self) -> str:
        """The estimate, and what it is based on."""
        if not self.known + self.bounded + sum(self.unknown.values()):
            return "nothing is left to do"
        basis = []
        if self.known:
            basis.append(f"{_counted(self.known, 'step')} as long as similar ones in this workspace")
        if self.bounded:
            basis.append(f"{_counted(self.bounded, 'measurement')} as long as allowed")
        sentence = f"about {clock(self.seconds)} ({'; '.join(basis)})" if basis else ""
        if self.unknown:
            counted = ", ".join(f"{count} {kind}" for kind, count in self.unknown.items())
            sentence += f"{'; ' if sentence else ''}unknown for {counted}: no similar step has run in this workspace"
        return sentence


class Durations:
    """How long steps took, by what makes steps similar. It learns from each outcome."""

    def __init__(self, outcomes: Iterable[StepOutcome] = ()) -> None:
        self._seconds: dict[tuple[Any, ...], list[float]] = {}
        self._seen: set[tuple[str, str]] = set()
        for outcome in outcomes:
            self.learn(outcome)

    def learn(self, outcome: StepOutcome) -> None:
        mark = (outcome.step.identity, outcome.began)
        if outcome.status != "ok" or outcome.seconds is None or mark in self._seen:
            return
        self._seen.add(mark)
        for key in _likeness(outcome.step):
            self._seconds.setdefault(key, []).append(outcome.seconds)

    def of(self, step: Step) -> float | None:
        """The median of the most similar steps; None if there are none."""
        for key in _likeness(step):
            if key in self._seconds:
                return statistics.median(self._seconds[key])
        return None

    def left(self, steps: Sequence[Step], outcomes: Mapping[str, StepOutcome], at_once: int, now: str) -> Estimate:
        """How long the steps without an outcome take, `at_once` of them together; some run alone (`steps.alone`)."""
        shared, exclusive, known, bounded, unknown = 0.0, 0.0, 0, 0, dict[str, int]()
        for step in steps:
            outcome = outcomes.get(step.identity)
            if outcome is not None and outcome.status != "running":
                continue
            seconds = self.of(step)
            if seconds is not None:
                known += 1
            elif step.kind == "measure" and _bounded(step.options.scenario):
                seconds, bounded = _at_most(step.options), bounded + 1
            else:
                unknown[step.kind] = unknown.get(step.kind, 0) + 1
                continue
            if outcome is not None:
                seconds = max(0.0, seconds - _between(outcome.began, now))
            if alone(step):
                exclusive += seconds
            else:
                shared += seconds
        return Estimate(exclusive + shared / at_once, known, bounded, unknown)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, or with hours: 4:05, 1:02:03."""
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _bounded(scenario: str) -> bool:
    """Whether the policy limits how long it takes."""
    found = scenario_registry.find(scenario)
    return found.repeated and not found.searches


def _at_most(options: RunOptions) -> float:
    """The most seconds that a measurement takes. Without a target for the precision, it ends after its launches."""
    policy = options.policy
    if policy.precision_target:
        return policy.max_seconds
    return min(policy.max_seconds, policy.launches * (options.measured_s + LOADING_S))


def _likeness(step: Step) -> list[tuple[Any, ...]]:
    """Keys under which steps are similar, the closest first."""
    if isinstance(step, Train):
        c = step.config
        return [
            ("train", c.model, step.contents["dataset"], c.subset, c.epochs, c.image_size),
            ("train", c.model, step.contents["dataset"], c.epochs), ("train", c.model), ("train",),
        ]  # fmt: skip
    if isinstance(step, Adopt):
        return [("adopt", step.model), ("adopt",)]
    if isinstance(step, Export):
        return [("export", step.target, step.precision), ("export",)]
    assert isinstance(step, Measure)
    return [
        (step.kind, step.device, step.runtime, repr(told(step.options))),
        (step.kind, step.device, repr(told(step.options.policy))),
    ]


def _between(began: str, now: str) -> float:
    return (datetime.datetime.fromisoformat(now) - datetime.datetime.fromisoformat(began)).total_seconds()
