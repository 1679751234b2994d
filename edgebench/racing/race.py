"""The race itself: launch after launch, those whose place is certain leave, until all are settled or time is up."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import psutil

from edgebench.comparing.ratio import BAND
from edgebench.machine.foreign_load import ForeignLoad
from edgebench.measuring.launches import joined
from edgebench.measuring.running import Planned
from edgebench.racing import heat
from edgebench.racing.standing import FEWEST, OPPOSITE, PairDecision, Standing
from edgebench.records import digests, replacing
from edgebench.records.declared import as_ratio
from edgebench.records.jobs import Stop
from edgebench.records.notices import Notice
from edgebench.records.race import Lag, Raced
from edgebench.records.result import Result
from edgebench.records.workspace import now

MEMORY_SHARE = 0.7  # of what is free, if no bound is given
HOPELESS = 1.5  # times the fastest, in both of the first launches: never the best


@dataclass(frozen=True, kw_only=True)
class RaceOptions:
    """`max_seconds`: no launch begins that would end later; comparing the answers does not count. `patience_s`: the
    same for the launches up to `fewest`, without which nothing can be decided. `launches`: so many, and nobody leaves
    before; None: until all is settled, but at least `fewest`. `best_only`: find the fastest, not the whole ranking.
    `memory_mib`: what all processes of a heat may hold together; None: MEMORY_SHARE of what is free."""

    max_seconds: float
    patience_s: float = 0.0
    launches: int | None = None
    fewest: int = FEWEST
    best_only: bool = False
    memory_mib: int | None = None
    band: float = BAND
    seed: int = 0


@dataclass(kw_only=True)
class RaceSoFar:
    """What is known while the race goes on.

    `effects`: by launch, of each setting (standing.py). `results`: by setting, of all its launches so far. `decided`:
    by pair (new, base), once it is. `resting`: the settings whose place is certain; if the order changes, they may be
    needed again. `hopeless`: those that are certainly not the best. `unfit`: those that no heat has room for.
    `verified`: by `_alike`, whose answers are right; `verified_s`: how long it took to compare them. `rounds`,
    `disturbed`: of each launch.
    """

    planned: Sequence[Planned]
    options: RaceOptions
    identity: str
    effects: list[np.ndarray] = field(default_factory=list)
    results: dict[int, Result] = field(default_factory=dict)
    decided: dict[tuple[int, int], PairDecision] = field(default_factory=dict)
    resting: set[int] = field(default_factory=set)
    hopeless: set[int] = field(default_factory=set)
    unfit: set[int] = field(default_factory=set)
    verified: set[str] = field(default_factory=set)
    verified_s: float = 0.0
    rounds: list[int] = field(default_factory=list)
    disturbed: list[int] = field(default_factory=list)

    def out(self) -> set[int]:
        """The settings that failed, or do not fit."""
        return self.unfit | {i for i, result in self.results.items() if result.status != "ok"}

    def alive(self) -> list[int]:
        """The settings that race on."""
        return [i for i in range(len(self.planned)) if i not in self.out() | self.resting | self.hopeless]

    def to_verify(self) -> set[int]:
        """One setting of each artifact and runtime whose answers nobody has compared yet."""
        first = {_alike(self.planned[i]): i for i in reversed(self.alive())}
        return {i for alike, i in first.items() if alike not in self.verified}

    def standing(self) -> Standing:
        """The standing of those that are not out."""
        effects = np.array(self.effects).reshape(-1, len(self.planned))
        effects[:, list(self.out())] = np.nan
        return Standing(effects)

    def settle(self) -> None:
        """Decide what can be decided, and let those rest whose place is certain. A decision stays, once it is made."""
        standing, options = self.standing(), self.options
        for new, base in itertools.combinations(standing.raced, 2):
            if (new, base) not in self.decided and (found := standing.decide(new, base, options.band)) != "undecided":
                self.decided[new, base] = found
                self.decided[base, new] = OPPOSITE.get(found, found)
        if options.launches is None and len(self.effects) >= options.fewest:
            pairs = standing.pairs(best_only=options.best_only)
            needed = {i for base, new in pairs if (new, base) not in self.decided for i in (base, new)}
            self.resting = set(standing.raced) - needed
        elif options.best_only and len(self.effects) == 2:
            behind = standing.effects - np.nanmin(standing.effects, axis=1)[:, None] > math.log(HOPELESS)
            self.hopeless = {i for i in standing.raced if behind[:, i].all()}

    def told(self, stop: Stop | None, notices: Sequence[Notice]) -> list[Result | None]:
        """The result of each setting, with its part in the race. None if it has to be measured alone: no heat has room
        for it, all others failed, or so did the one whose answers were to speak for its own."""
        standing = self.standing()
        alone = self.unfit | (set(self.alive()) if stop == "failed" else set())
        alone |= {i for i in standing.raced if _alike(self.planned[i]) not in self.verified}
        return [
            None if i in alone else self._result(i, standing, stop or "interrupted", notices)
            for i in range(len(self.planned))
        ]

    def _result(self, i: int, standing: Standing, stop: Stop, notices: Sequence[Notice]) -> Result:
        result = self.results[i]
        if i not in standing.raced:
            return result
        effects, place = standing.effects[:, i], standing.order.index(i)
        beside = self._beside(i, standing.order[0], standing) if place else None
        best = self.results[standing.order[0]].summary
        best_ns = best and best.median_ns
        took_part = np.flatnonzero(~np.isnan(effects))
        raced = Raced(
            race=self.identity, effects=tuple(None if np.isnan(effect) else float(effect) for effect in effects),
            settings=len(standing.raced), scatter=standing.scatter,
            fastest=beside,
            next=self._beside(i, standing.order[place - 1], standing) if place else None,
            median_ns=best_ns and round(best_ns * (beside.ratio if beside else 1)),
            rounds=sum(self.rounds[k] for k in took_part), disturbed=sum(self.disturbed[k] for k in took_part),
        )  # fmt: skip
        certain = i in self.resting | self.hopeless
        return replace(
            result, race=raced, stop="precision" if certain else stop, notices=(*result.notices, *notices)
        )  # fmt: skip

    def _beside(self, new: int, base: int, standing: Standing) -> Lag | None:
        found = standing.difference(new, base)
        seen = standing.effects[:, new] - standing.effects[:, base]
        if np.isnan(seen).all():
            return None
        ratio, low, high = float(np.exp(np.nanmean(seen))), found and found.low, found and found.high
        return Lag(  # two launches that have little in common have an interval without bounds
            job=self.planned[base].job.identity, ratio=as_ratio(ratio), low=low and as_ratio(low),
            high=high and as_ratio(high), standing=self.decided.get((new, base), "undecided"),
        )  # fmt: skip


def _alike(item: Planned) -> str:
    """What settings have in common whose answers are right or wrong together: all but the number of threads."""
    return replace(item.job, threads=None).identity


def race(
    planned: Sequence[Planned], options: RaceOptions, *,
    keep: Callable[[Sequence[Result]], None] = lambda results: None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> tuple[list[Result | None], Stop]:  # fmt: skip
    """Race two settings or more of this machine, which is ours: a result of each, in their order, and why it ended.

    `keep` gets those that there are after each launch, to write them to disk. A setting that fails leaves with its
    status, and the others go on. None stands for a setting that has to be measured alone: memory does not hold it
    beside another, or all others failed. Answers are compared with the reference in the first launch, once for settings
    that differ in their threads alone. Ctrl-C after the first launch ends the race with what is known.
    """
    course = RaceSoFar(
        planned=planned, options=options, identity=digests.of_data([now(), [item.job.identity for item in planned]])
    )
    order = random.Random(options.seed)
    room = options.memory_mib * 2**20 if options.memory_mib else psutil.virtual_memory().available * MEMORY_SHARE
    began, watch, stop, spent_s = time.monotonic(), ForeignLoad(), None, 0.0
    while stop is None:
        try:
            _launch(course, room, order, on_phase)
        except KeyboardInterrupt:
            if not course.effects:
                raise
            stop = "interrupted"
        else:
            course.settle()
            before_s, spent_s = spent_s, time.monotonic() - began - course.verified_s
            stop = _reason_to_stop(course, spent_s + (spent_s - before_s))
        notice = None if stop in (None, "interrupted") else watch.notice()
        results = course.told(stop, [notice] if notice else [])
        keep([result for result in results if result])
    return results, stop


def _launch(course: RaceSoFar, room: float, order: random.Random, on_phase: Callable[[str], None]) -> None:
    """Race those that are left, in a new order, in as many heats as memory asks for, and note what was seen."""
    heats: list[heat.Heat] = []
    results: dict[int, Result] = {}
    left = order.sample(alive := course.alive(), len(alive))
    runtimes = [course.planned[i].job.runtime for i in left]
    # Those of one runtime take about as long to load, and so are ready together.
    left.sort(key=lambda i: runtimes.index(course.planned[i].job.runtime))
    number, verify = len(course.effects) + 1, course.to_verify()

    def tell(phase: str) -> None:
        on_phase(f"launch {number}: {phase}")

    with replacing.scratch() as scratch:
        while left:
            one = heat.race(
                {i: course.planned[i] for i in left}, len(course.planned), order, Path(scratch),
                verify=verify, room_bytes=room, on_phase=tell,
            )  # fmt: skip
            heats += [one] if one.blocks else []
            course.verified_s += one.verified_s
            compared = {i for i in verify & set(one.results) if one.results[i].status == "ok"}
            course.verified |= {_alike(course.planned[i]) for i in compared}
            verify -= set(one.results)
            results |= {i: found for i, found in one.results.items() if i not in results or found.status != "ok"}
            if one.waiting and len(one.results) < 2:  # a single one has run: there is no room for the next beside it
                course.unfit.add(one.waiting.pop(0))
            fit = [i for i in left if i in one.results and results[i].status == "ok"]
            left = [*fit[:1], *one.waiting] if one.waiting else []
    for i, result in results.items():
        course.results[i] = joined(course.results.get(i), result)
    if heats:
        pace_setter = next((i for i in alive if all(i in one.results for one in heats)), alive[0])
        course.effects.append(heat.merged(heats, pace_setter))
        course.rounds.append(sum(len(rounds) for one in heats for rounds in one.blocks))
        course.disturbed.append(course.rounds[-1] - sum(len(rounds) for one in heats for rounds in one.counted()))


def _reason_to_stop(course: RaceSoFar, next_end_s: float) -> Stop | None:
    if len(course.alive()) < 2:
        return "precision" if course.resting or course.hopeless else "failed"
    if course.options.launches is not None and len(course.effects) >= course.options.launches:
        return "launches"
    patience_s = course.options.patience_s if len(course.effects) < course.options.fewest else 0.0
    return "max_seconds" if next_end_s > max(course.options.max_seconds, patience_s) else None
