"""The local engine: trainings and exports share this machine's cores and GPUs; measurements have it to themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack

import psutil

from edgebench.machine import locks
from edgebench.machine.device import available_cores
from edgebench.machine.fingerprint import nvidia_cards
from edgebench.sweeping.records import Records
from edgebench.sweeping.step_process import StepProcess
from edgebench.sweeping.steps import Step, StepOutcome, Train, alone

POLL_S = 0.02
MEMORY_OF_ONE = 3 << 30  # bytes that a training on a CPU may need
AT_ONCE = 16  # trainings at most


def slots(steps: Sequence[Step]) -> int:
    """How many trainings or exports to do at once: one a GPU; without a GPU, one a core if memory allows.

    It depends on the machine and the whole plan, not on what is left of the plan: it decides how many threads a
    training gets, and a resumed sweep has to arrive at the same weights.
    """
    trainings = sum(isinstance(step, Train) for step in steps) or 1
    cards = len(nvidia_cards())
    fit = psutil.virtual_memory().total // MEMORY_OF_ONE
    return max(1, min(trainings, AT_ONCE, cards or min(available_cores(), fit)))


class Local:
    """Does steps as processes on this machine: at most `at_once` of those that may share it, the others alone."""

    def __init__(self, kept: Records, at_once: int = 1) -> None:
        self._kept = kept
        self._free = list(range(at_once))
        self._children: dict[int, StepProcess] = {}  # by slot; a step that runs alone has slot −1
        cores = sorted(os.sched_getaffinity(0))
        share = max(1, min(available_cores(), len(cores)) // at_once)
        self._cores = [cores[i * share : (i + 1) * share] for i in range(at_once)]
        self._cards = len(nvidia_cards())
        self._machine = ExitStack()  # held while trainings run, so that nobody measures beside them

    def has_room(self, step: Step) -> bool:
        if alone(step):
            return not self._children
        if -1 in self._children or not self._free:
            return False
        if not self._children:
            self._machine.close()
            return self._machine.enter_context(locks.machine_shared())
        return True

    def start(self, steps: Sequence[Step]) -> list[StepOutcome]:
        begun = [self._kept.begin(step) for step in steps]
        if alone(steps[0]):
            self._children[-1] = StepProcess(begun, self._kept)
            return begun
        slot = self._free.pop(0)
        chosen = {"CUDA_VISIBLE_DEVICES": str(slot % self._cards)} if self._cards else {}
        self._children[slot] = StepProcess(begun, self._kept, cores=self._cores[slot], environment=chosen)
        return begun

    def ended(self, timeout_s: float) -> list[StepOutcome]:
        deadline = time.monotonic() + timeout_s
        while True:
            over = {slot: outcomes for slot, child in self._children.items() if (outcomes := child.outcomes())}
            if over or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        for slot in over:
            del self._children[slot]
            if slot >= 0:
                self._free = sorted([*self._free, slot])
        if not self._children:
            self._machine.close()
        return [outcome for outcomes in over.values() for outcome in outcomes]

    def close(self) -> None:
        for child in self._children.values():
            child.stop()
        self._children.clear()
        self._machine.close()
