"""The time budget of a pick: how much is left, kept on disk, and doing steps only while some is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgebench.records import jsonio
from edgebench.records.sifted import SieveAnswer
from edgebench.specs import SCHEMA
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Step, StepOutcome
from edgebench.sweeping.this_machine import Local, slots
from edgebench.sweeping.work import Engine, SweepState, settled, waits, work

SAVE_EVERY_S = 5.0
LATE = (0.25, 30.0)  # of the budget, and seconds at least: how late a pick may end that would else have no answer


class OutOfTime(Exception):
    """The time for a step is over. The choice is made among what is done by now: `done`, outcomes by identity."""

    def __init__(self, done: dict[str, StepOutcome] | None = None) -> None:
        super().__init__()
        self.done = done or {}


@dataclass(frozen=True)
class PickProgress:
    """What a killed pick goes on with: the numbers that were decided, by their names, what the sieve found, and the
    seconds spent so far."""

    decided: dict[str, float] = field(default_factory=dict)
    sifted: SieveAnswer | None = None
    seconds: float = 0.0
    schema: int = SCHEMA


class Budget:
    """The seconds of a pick, including those that it spent before it was killed.

    The numbers that were decided are kept too: if the machine is faster today, what is trained already still counts.
    """

    def __init__(self, seconds: float, file: Path, began: float | None = None) -> None:
        self.seconds, self._file = seconds, file
        self._progress = jsonio.read_if_good(PickProgress, file) or PickProgress()
        self._began = (time.monotonic() if began is None else began) - self._progress.seconds
        self._saved = time.monotonic()
        self._waits_since: float | None = None
        self.waited_s = 0.0  # for another edgebench: time that is not of this budget

    def waits(self, now: bool) -> None:
        """Called again and again while steps are done. While it waits for the machine, the budget stands still."""
        moment = time.monotonic()
        if self._waits_since is not None:
            self._began += moment - self._waits_since
            self.waited_s += moment - self._waits_since
        self._waits_since = moment if now else None

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self._began

    @property
    def left_s(self) -> float:
        return self.seconds - self.spent_s

    @property
    def late_s(self) -> float:
        """How late it may end, in seconds, if it would else have no answer."""
        return max(LATE[0] * self.seconds, LATE[1])

    def decided(self, name: str, decide: Callable[[], float], *, keep: bool = True) -> float:
        """The number called `name`. `decide` is asked once; with `keep` its answer stays."""
        if not keep and name not in self._progress.decided:
            return decide()
        if name not in self._progress.decided:
            self._progress = replace(self._progress, decided=self._progress.decided | {name: decide()})
            self.save()
        return self._progress.decided[name]

    def sifted(self, sift: Callable[[], SieveAnswer]) -> SieveAnswer:
        """What the sieve found. `sift` is asked once."""
        if self._progress.sifted is None:
            self._progress = replace(self._progress, sifted=sift())
            self.save()
        return self._progress.sifted

    def save(self) -> None:
        self._saved = time.monotonic()
        self._progress = replace(self._progress, seconds=round(self._saved - self._began, 1))
        jsonio.write(self._file, self._progress)

    def save_now_and_then(self) -> None:
        if time.monotonic() - self._saved > SAVE_EVERY_S:
            self.save()


def this_machine(kept: Records, steps: Sequence[Step]) -> Engine:
    """The engine that does the steps here."""
    return Local(kept, slots(steps))


class StepsInTime:
    """Does steps of a sweep within a budget. `show` is called with what is being done and the seconds left."""

    def __init__(
        self, kept: Records, budget: Budget, show: Callable[[str, float], None],
        engine: Callable[[Records, Sequence[Step]], Engine],
    ) -> None:  # fmt: skip
        self._kept, self._budget, self._show, self._engine = kept, budget, show, engine

    def done(self, steps: Sequence[Step]) -> bool:
        """Whether none of the steps is left to do."""
        return len(settled(steps, self._kept)) == len(steps)

    def do(self, steps: Sequence[Step], until_s: float) -> dict[str, StepOutcome]:
        """Do the steps while more than `until_s` seconds of the budget are left; their outcomes by identity.

        Raises OutOfTime if a step is not done then. What is done is kept.
        """
        until_s = max(until_s, -self._budget.late_s)

        def on_change(state: SweepState) -> None:
            waiting = waits(state, self._kept)
            self._budget.waits(bool(waiting))
            if waiting:
                self._show(waiting, self._budget.left_s)
                return self._budget.save_now_and_then()
            running = [o for o in state.outcomes.values() if o.status == "running"]
            for outcome in running[:1]:
                phase = self._kept.phase(outcome.step.identity)
                self._show(f"{outcome.step.title}{f': {phase}' if phase else ''}", self._budget.left_s)
            self._budget.save_now_and_then()
            ended = len(state.outcomes) - len(running)  # nothing runs while another edgebench has the machine
            if ended < len(state.steps) and self._budget.left_s < until_s:
                raise OutOfTime
            return None

        try:
            if self._budget.left_s < until_s and not self.done(steps):
                raise OutOfTime
            return work(steps, self._kept, self._engine(self._kept, steps), on_change)
        except OutOfTime:
            raise OutOfTime(settled(steps, self._kept)) from None
