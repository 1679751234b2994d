"""One launch of settings that fit into memory together: a fresh process each, of which one runs at a time."""

from __future__ import annotations

import contextlib
import math
import random
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgebench.errors import EdgebenchError
from edgebench.machine.children import Ending
from edgebench.machine.taken import TakenCores
from edgebench.measuring import alternating, process
from edgebench.measuring.alternating import Silent, Worker
from edgebench.measuring.running import Planned
from edgebench.racing.standing import launch_effects
from edgebench.records.result import Result
from edgebench.records.workspace import now
from edgebench.results import stats

TOGETHER = 2  # processes that start, or end, at the same time: that takes as long as all of the bursts
BLOCK_S = 0.25  # rounds taken together: the kernel counts processor time in steps of 10 ms
DISTURBED_CORES = 0.25  # a block from which others took so much more than from the median block does not count
MOST = 5  # times the duration asked for that bursts go on, where loading took as long
SHORTEST = 0.25  # of the mean burst of a round: a fast setting's burst beside slow ones takes so long at least


class NoRoom(EdgebenchError):
    """The processes of a heat hold more memory than they may."""


class TooLarge(EdgebenchError):
    """A process holds more memory than its own limit."""


@dataclass(kw_only=True)
class Heat:
    """The settings that race at the same time, by number, and what was seen of them.

    `results`: of each, with one launch; also of those that failed. `waiting`: those for which there was no memory.
    `blocks`: the logs of the median times of bursts, (rounds, all settings of the race) each; `taken`: the cores that
    others took during each. `verified_s`: how long the answers took to be compared, and the processes to end with it.
    """

    settings: int
    results: dict[int, Result] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    blocks: list[np.ndarray] = field(default_factory=list)
    taken: list[float | None] = field(default_factory=list)
    verified_s: float = 0.0

    def counted(self) -> list[np.ndarray]:
        """The blocks that others did not disturb: see DISTURBED_CORES. All of them, where that cannot be told."""
        if None in self.taken or not self.taken:
            return self.blocks
        bound = statistics.median(self.taken) + DISTURBED_CORES
        return [rounds for rounds, cores in zip(self.blocks, self.taken, strict=True) if cores <= bound]

    def effects(self) -> np.ndarray:
        """(settings,): nan where a setting was absent or failed."""
        counted = self.counted()
        if not counted:
            return np.full(self.settings, np.nan)
        rounds = np.concatenate(counted)
        rounds[:, [i for i in range(self.settings) if i not in self.results or self.results[i].status != "ok"]] = np.nan
        return launch_effects(rounds)


def race(
    planned: Mapping[int, Planned], settings: int, order: random.Random, scratch: Path, *, verify: Collection[int],
    room_bytes: float = math.inf, on_phase: Callable[[str], None] = lambda phase: None,
) -> Heat:  # fmt: skip
    """Load the settings, in the order given, while `room_bytes` hold them; run them by turns; take their results.

    The first two are loaded in any case. A setting that fails leaves with its status, one for which there is no room
    has to wait; the others go on. `settings`: how many there are in the whole race; `verify`: whose answers are
    compared.
    """
    heat = Heat(settings=settings)
    with contextlib.ExitStack() as stack:
        field = _Field(heat, room_bytes)
        began = time.monotonic()
        left = list(planned)
        while left and not field.is_full():
            together, left = left[:TOGETHER], left[TOGETHER:]
            for number in together:
                on_phase(f"loading {_name(planned[number])}")
                entry = _Entry(planned[number], number, scratch, stack, verify=number in verify)
                field.enter(number, entry, together)
            for number in together:
                field.attempt(number, _Entry.ready)
        heat.waiting += left
        field.size()
        on_phase(f"{len(field.running)} settings by turns")
        moment = time.monotonic()
        duration_s = max(item.job.duration_s for item in planned.values())
        until = moment + min(max(moment - began, duration_s), MOST * duration_s)
        cores = TakenCores()
        while len(field.running) > 1 and (not heat.blocks or time.monotonic() < until):
            processes = [entry.worker.pid for entry in field.running.values()]
            cores.since(processes)
            heat.blocks.append(field.block(order))
            heat.taken.append(cores.since(processes))
        numbers, ending = list(field.running), time.monotonic()
        for together in (numbers[i : i + TOGETHER] for i in range(0, len(numbers), TOGETHER)):
            for number in together:
                field.running[number].worker.release()
            for number in together:
                on_phase(f"{'verifying' if number in verify else 'ending'} {_name(planned[number])}")
                heat.results[number] = field.running[number].ended()
        heat.verified_s = time.monotonic() - ending if {*numbers}.intersection(verify) else 0.0
    return heat


def _name(item: Planned) -> str:
    threads = f", {item.job.threads} threads" if item.job.threads else ""
    return f"{item.artifact.path.name} on {item.job.runtime}{threads}"


class _Field:
    """The settings of a heat that run, and the memory that their processes hold."""

    def __init__(self, heat: Heat, room_bytes: float) -> None:
        self.running: dict[int, _Entry] = {}
        self._heat, self._room_bytes = heat, room_bytes
        self._held: dict[int, int] = {}  # by setting, in bytes

    def enter(self, number: int, entry: _Entry, together: Sequence[int]) -> None:
        """`together`: those that load at the same time, whose memory is looked at while one is waited for."""
        self.running[number], self._held[number] = entry, 0
        entry.worker.watch = lambda: self._look([i for i in together if i in self.running])

    def is_full(self) -> bool:
        """Whether there is no room for one more of the mean size."""
        count, held = len(self.running), sum(self._held[i] for i in self.running)
        return count > 1 and held * (1 + 1 / count) > self._room_bytes

    def attempt(self, number: int, act: Callable[[_Entry], float]) -> float:
        """What the setting's entry answers; nan if it has left the heat, or leaves it now."""
        if (entry := self.running.get(number)) is None:
            return math.nan
        try:
            answer = act(entry)
            self._look([number])
            return answer
        except NoRoom:
            entry.worker.close()
            self._heat.waiting.append(number)
        except EdgebenchError as error:
            self._heat.results[number] = entry.failed(error)
        del self.running[number]
        return math.nan

    def size(self) -> None:
        """Find out how many inferences make a burst of each. Fast ones get more where slow ones make the rounds long:
        it costs little, and they are known better."""
        fastest = {number: self.attempt(number, _Entry.timed) for number in list(self.running)}
        counts = {number: alternating.count(fastest[number]) for number in self.running}
        mean_ns = sum(counts[i] * fastest[i] for i in counts) / max(1, len(counts))
        for number, entry in self.running.items():
            entry.count = alternating.count(fastest[number], max(alternating.BURST_NS, SHORTEST * mean_ns))

    def block(self, order: random.Random) -> np.ndarray:
        """Rounds of one burst of each setting, for at least BLOCK_S."""
        rounds, began = [], time.monotonic()
        while not rounds or time.monotonic() - began < BLOCK_S:
            logs = np.full(self._heat.settings, np.nan)
            for number in order.sample(list(self.running), len(self.running)):
                logs[number] = self.attempt(number, _Entry.burst)
            rounds.append(logs)
        return np.array(rounds)

    def _look(self, numbers: Sequence[int]) -> None:
        """Raise if one of these, which may have grown, holds more than its job may, or all hold more than the room."""
        for number in numbers:
            self._held[number] = self.running[number].worker.resident_bytes()
            self.running[number].check(self._held[number])
        if len(self.running) > 1 and sum(self._held[i] for i in self.running) > self._room_bytes:
            raise NoRoom("the processes of this heat hold more memory than they may")


class _Entry:
    """A setting in a heat: its process, and the result that becomes of it."""

    def __init__(
        self, item: Planned, number: int, scratch: Path, stack: contextlib.ExitStack, *, verify: bool
    ) -> None:  # fmt: skip
        self._job, self._artifact, self._began = item.job, item.artifact, now()
        self._file, self.count = scratch / f"{number}-result.json", 2  # inferences in a burst
        self._file.unlink(missing_ok=True)
        contestant = alternating.racer(item.job, item.artifact, scratch, self._file, verify=verify)
        with alternating.interrupted_after():
            self.worker = Worker(contestant, limits_s=(item.job.time_limit_s, item.job.time_limit_s))
            stack.callback(self.worker.close)

    def check(self, held_bytes: int) -> None:
        """Raise TooLarge if that is more than its job may hold."""
        if self._job.memory_limit_mib and held_bytes > self._job.memory_limit_mib * 2**20:
            raise TooLarge("it holds more memory than it may")

    def ready(self) -> float:
        """Wait until it is warm."""
        self.worker.ready()
        return 0.0

    def timed(self) -> float:
        """About how long an inference takes, in nanoseconds."""
        return alternating.fastest_ns(self.worker)

    def burst(self) -> float:
        """The log of the median time of one burst, in nanoseconds."""
        return math.log(max(1, stats.median(self.worker.burst(self.count))))

    def ended(self) -> Result:
        """Its result, for which it is let run to its end."""
        return self._of(self.worker.finish(self._job.time_limit_s, self._job.memory_limit_mib))

    def failed(self, error: EdgebenchError) -> Result:
        """Its result after an error: it has ended, or it is ended because it hangs or is too large."""
        if not isinstance(error, (Silent, TooLarge)):
            return self.ended()
        mib, said, phase = self.worker.resident_bytes() // 2**20, self.worker.said(), self.worker.phase
        self.worker.close()
        cause = "timeout" if isinstance(error, Silent) else "out_of_memory"
        return self._of(Ending(cause=cause, peak_rss_mib=mib, log=said, phase=phase))

    def _of(self, ending: Ending) -> Result:
        return process.result_of(self._job, self._artifact, self._file, ending, self._began)


def merged(heats: Sequence[Heat], pace_setter: int) -> np.ndarray:
    """The effects of a launch's heats, at least one, on the scale of the first: the pace-setter is in all of them."""
    first, *others = (heat.effects() for heat in heats)
    for effects in others:
        on_scale = effects + (first[pace_setter] - effects[pace_setter])
        first = np.where(np.isnan(first), on_scale, first)
    return first
