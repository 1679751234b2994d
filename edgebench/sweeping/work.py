"""`work`: does steps in order on an engine; skips what is done, and gives up what needs a failed step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgebench.machine import locks
from edgebench.records.workspace import now
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Step, StepOutcome, alone, race_together

TICK_S = 0.2
MOST_TOGETHER = 24  # measurements that race: what a killed race has not finished begins anew


def waits(state: SweepState, kept: Records) -> str:
    """A sentence if nothing can be done because another edgebench measures on this machine; else ""."""
    running = [outcome for outcome in state.outcomes.values() if outcome.status == "running"]
    if running:
        return next((said for o in running if locks.WAITING in (said := kept.phase(o.step.identity))), "")
    return locks.waiting() if len(state.outcomes) < len(state.steps) and locks.busy() else ""


class Engine(Protocol):
    """Where steps are done. It records each step when it starts, and its outcome when it ends."""

    def has_room(self, step: Step) -> bool:
        """Whether the step may be started now."""

    def start(self, steps: Sequence[Step]) -> list[StepOutcome]:
        """Begin a step, or several measurements that may be made together, and return their records."""

    def ended(self, timeout_s: float) -> list[StepOutcome]:
        """The outcomes of steps that have ended; waits up to `timeout_s` for the first."""

    def close(self) -> None:
        """Stop what is under way; the next sweep goes on with it."""


@dataclass(frozen=True)
class SweepState:
    """A moment of a sweep. `outcomes`: by identity, of the steps that are done or under way ("running")."""

    steps: tuple[Step, ...]
    outcomes: dict[str, StepOutcome]


def ordered(steps: Sequence[Step]) -> list[Step]:
    """Each step once, in the given order. Raises ValueError if a step comes before one that it needs."""
    found: dict[str, Step] = {}
    for step in steps:
        if missing := [need for need in step.needs if need not in found]:
            raise ValueError(f"{step.title} needs the step {missing[0][:12]}, which does not come before it")
        found.setdefault(step.identity, step)
    return list(found.values())


def settled(steps: Sequence[Step], kept: Records) -> dict[str, StepOutcome]:
    """The outcomes of the steps that need not be done again, by identity."""
    found: dict[str, StepOutcome] = {}
    for step in ordered(steps):
        if all(need in found for need in step.needs) and (outcome := kept.done(step, found)):
            found[step.identity] = outcome
    return found


def work(
    steps: Sequence[Step], kept: Records, engine: Engine, on_change: Callable[[SweepState], None] = lambda state: None
) -> dict[str, StepOutcome]:
    """Do all steps, each after those that it needs, and return their outcomes by identity.

    A step that fails is not tried again in this sweep, but in a later one. What needs it ends with the same status, and
    its message says why. `on_change` is called at each change and every fifth of a second. On an exception, such as
    KeyboardInterrupt, the engine is closed: what is done is recorded, and the next sweep goes on.
    """
    todo = ordered(steps)
    outcomes = settled(todo, kept)
    waiting = [step for step in todo if step.identity not in outcomes]
    by_identity = {step.identity: step for step in todo}
    running: set[str] = set()
    try:
        while waiting or running:
            for step in list(waiting):
                before = [outcomes.get(need) for need in step.needs]
                if failed := [o for o in before if o is not None and o.status not in ("ok", "running")]:
                    waiting.remove(step)
                    outcomes[step.identity] = _given_up(step, failed[0], by_identity)
            # Steps that can share the machine come first: a measurement would make all of them wait. Measurements
            # come last, when all that can race are ready.
            for step in sorted(waiting, key=lambda step: (alone(step), step.kind == "measure")):
                if step in waiting and _ready(step, outcomes) and engine.has_room(step):
                    mates = [o for o in waiting if o is not step and race_together(step, o) and _ready(o, outcomes)]
                    for begun in engine.start([step, *mates[: MOST_TOGETHER - 1]]):
                        waiting.remove(begun.step)
                        outcomes[begun.step.identity] = begun
                        running.add(begun.step.identity)
            on_change(SweepState(tuple(todo), outcomes))
            if not running and waiting:
                # Another edgebench has the machine, or the next turn gives up what needs a failed step.
                time.sleep(TICK_S)
                continue
            for outcome in engine.ended(TICK_S) if running else ():
                outcomes[outcome.step.identity] = outcome
                running.discard(outcome.step.identity)
    finally:
        engine.close()
    on_change(SweepState(tuple(todo), outcomes))
    return outcomes


def _ready(step: Step, outcomes: Mapping[str, StepOutcome]) -> bool:
    """Whether all that it needs is done."""
    return all(need in outcomes and outcomes[need].status == "ok" for need in step.needs)


def _given_up(step: Step, cause: StepOutcome, by_identity: dict[str, Step]) -> StepOutcome:
    """The outcome of a step that needs a failed one: the same status. It is not recorded, because it was not tried."""
    title = by_identity[cause.step.identity].title
    message = cause.message if cause.message.startswith("[") else f"[{title}] {cause.message}"
    moment = now()
    return StepOutcome(step=step, status=cause.status, since=moment, began=moment, attempts=0, message=message)
