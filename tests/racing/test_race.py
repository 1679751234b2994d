"""The course of a race, with scripted heats: who leaves, who stays, and what each result says in the end."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from factories import make_artifact, make_job, make_result

from edgebench.errors import OutOfMemory
from edgebench.machine.device import detect
from edgebench.measuring import running
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned
from edgebench.racing import heat, race, together
from edgebench.racing.race import RaceOptions
from edgebench.records.jobs import Policy
from edgebench.records.result import Result
from edgebench.specs import TensorSpec

ARTIFACT = make_artifact()


def settings(count: int) -> list[Planned]:
    return [Planned(job=make_job(ARTIFACT, threads=n + 1), artifact=ARTIFACT, profile=detect()) for n in range(count)]


class Scripted:
    """Heats that take no time: each setting's log time is given, and varies a little from launch to launch."""

    def __init__(self, logs: list[float], deviation: float = 0.002) -> None:
        self.logs, self.noise = logs, random.Random(0)
        self.deviation, self.raced, self.verified = deviation, [], []
        self.fails: dict[tuple[int, int], str] = {}  # (launch, setting) → status
        self.stops_at: int | None = None
        self.room = math.inf  # how many settings fit

    def race(self, planned: dict[int, Planned], count: int, *rest, verify: set[int], **options) -> heat.Heat:
        launch = len(self.raced) + 1
        self.verified.append(set(verify))
        if launch == self.stops_at:
            raise KeyboardInterrupt
        here = list(planned)[: 2 if self.room == 2 else None] if self.room > 1 else list(planned)[:1]
        found = heat.Heat(settings=count, waiting=[i for i in planned if i not in here])
        for i in here:
            status = self.fails.get((launch, i), "ok")
            result = make_result(job=planned[i].job, artifact=ARTIFACT, status=status)
            found.results[i] = result if status == "ok" else replace(result, launches=(), summary=None)
        row = np.full(count, np.nan)
        for i in here:
            row[i] = self.logs[i] + self.noise.gauss(0, self.deviation)
        if len(here) > 1:
            found.blocks, found.taken = [row[None, :]], [0.0]
        if not found.waiting:
            self.raced.append(sorted(here))
        return found


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    def make(*logs: float, **options: float) -> Scripted:
        made = Scripted(list(logs), **options)
        monkeypatch.setattr(heat, "race", made.race)
        return made

    return make


def ran(scripted: Scripted, **options) -> tuple[list[Result | None], str]:
    return race.race(settings(len(scripted.logs)), RaceOptions(**{"max_seconds": 1e9} | options))


def test_it_ends_when_every_neighbour_is_decided_and_all_know_their_ratio(scripted) -> None:
    results, stop = ran(scripted(0.0, 0.1, math.log(2)))
    assert stop == "precision"
    first, second, last = (result.race for result in results)
    assert first.fastest is None and first.next is None and len({first.race, second.race, last.race}) == 1
    assert second.fastest.standing == last.fastest.standing == last.next.standing == "slower"
    assert last.fastest.ratio == pytest.approx(2, rel=0.01) and last.next.job == results[1].job.identity
    assert last.fastest.low < 2 < last.fastest.high
    assert all(len(result.launches) == 5 and result.stop == "precision" for result in results)


def test_a_setting_whose_place_is_certain_leaves_while_others_go_on(scripted) -> None:
    made = scripted(0.0, 0.03, 1.0, deviation=0.01)
    results, _ = ran(made)
    assert made.raced[0] == [0, 1, 2] and made.raced[-1] == [0, 1] and len(made.raced) > 5
    assert len(results[2].launches) < len(results[0].launches) == len(results[0].race.effects)
    assert results[2].race.effects[-1] is None


def test_equal_ones_tie(scripted) -> None:
    results, stop = ran(scripted(0.0, 0.0, 0.0, deviation=0.002))
    standings = [result.race.next.standing for result in results if result.race.next]
    assert stop == "precision" and standings == ["tie", "tie"]


def test_a_failure_leaves_with_its_status_and_the_others_go_on(scripted) -> None:
    made = scripted(0.0, 0.1, 0.2)
    made.fails = {(2, 1): "crashed"}
    results, stop = ran(made)
    assert [result.status for result in results] == ["ok", "crashed", "ok"] and stop == "precision"
    assert results[1].race is None and results[2].race.settings == 2
    assert made.raced[2] == [0, 2]


def test_the_last_one_left_by_failures_is_to_be_measured_alone(scripted) -> None:
    made = scripted(0.0, 0.1)
    made.fails = {(1, 0): "timeout"}
    results, stop = ran(made)
    assert stop == "failed" and results[0].status == "timeout" and results[1] is None


def test_what_does_not_fit_beside_another_is_to_be_measured_alone(scripted) -> None:
    made = scripted(0.0, 0.1, 0.2)
    made.room = 1
    results, _ = ran(made)
    assert sum(result is None for result in results) >= 2


def test_heats_of_two_race_all(scripted) -> None:
    made = scripted(0.0, 0.1, 0.2, 0.3)
    made.room = 2
    results, _ = ran(made)
    ratios = [result.race.fastest.ratio for result in results if result.race.fastest]
    assert ratios == pytest.approx([math.exp(x) for x in (0.1, 0.2, 0.3)], rel=0.01)


def test_ctrl_c_ends_it_with_what_is_known(scripted) -> None:
    made = scripted(0.0, 0.1)
    made.stops_at = 3
    kept: list[int] = []
    results, stop = race.race(
        settings(2), RaceOptions(max_seconds=1e9), keep=lambda results: kept.append(len(results[0].launches))
    )
    assert stop == "interrupted" and [result.stop for result in results] == ["interrupted"] * 2
    assert kept == [1, 2, 2], "each launch is on disk before the next"
    made = scripted(0.0, 0.1)
    made.stops_at = 1
    with pytest.raises(KeyboardInterrupt):
        ran(made)


def test_the_options_of_a_run_say_when_it_ends(scripted) -> None:
    results, stop = ran(scripted(0.0, 1.0), launches=3)
    assert stop == "launches" and len(results[0].launches) == 3
    results, stop = ran(scripted(0.0, 1.0), max_seconds=-1)
    assert stop == "max_seconds" and len(results[0].launches) == 1
    assert together.asked(Policy(launches=2), 9).launches == 2
    assert together.asked(Policy(precision_target=0, launches=7), 9).launches == 7
    nine = together.asked(Policy(), 9)
    assert nine.launches is None and nine.max_seconds == 60 * 9 / 4
    assert together.asked(Policy(), 2).max_seconds == 60, "no less than one of them alone"
    assert nine.patience_s == 9 * 60, "until there are launches enough to decide"


def test_it_has_the_time_for_as_many_launches_as_a_verdict_needs(scripted) -> None:
    results, stop = ran(scripted(0.0, 0.001, deviation=0.02), max_seconds=-1, patience_s=1000)
    assert stop == "max_seconds" and len(results[0].launches) == 5
    assert results[1].race.next.standing in ("undecided", "tie")


def test_answers_are_compared_once_for_settings_that_differ_in_threads_alone(scripted) -> None:
    made = scripted(0.0, 0.5, 1.0)
    ran(made)
    assert [len(numbers) for numbers in made.verified] == [1, 0, 0, 0, 0]
    made = scripted(0.0, 0.5, 1.0)
    made.fails = {(1, 0): "failed"}
    results, _ = ran(made)
    assert made.verified[:3] == [{0}, {1}, set()] and results[0].status == "failed", "another one speaks for them then"
    made = scripted(0.0, 0.5, 1.0)
    made.fails = {(1, 0): "failed"}
    results, _ = ran(made, launches=1)
    assert results[1:] == [None, None], "nobody's answers were compared: they are measured alone, which does it"


def test_the_search_for_the_best_drops_the_hopeless_after_two_launches(scripted) -> None:
    made = scripted(0.0, 0.03, 1.0, 1.1)
    results, stop = ran(made, best_only=True)
    assert stop == "precision" and made.raced[1] == [0, 1, 2, 3] and made.raced[2] == [0, 1]
    assert len(results[3].launches) == 2 and results[3].race.fastest.ratio == pytest.approx(3, rel=0.02)


def test_latency_on_the_cpu_races_and_nothing_else() -> None:
    two = settings(2)
    assert together.races(two, RunOptions()) == [two]
    assert together.races(two, RunOptions(race=False)) == [] and together.races(two[:1], RunOptions()) == []
    for changes in ({"compute": "cuda"}, {"scenario": "throughput"}):
        others = [replace(item, job=replace(item.job, **changes)) for item in two]
        assert together.races(others, RunOptions()) == []


def test_adopted_models_of_unlike_tasks_do_not_race_each_other() -> None:
    def adopted(*outputs: int) -> Planned:
        ends = tuple(TensorSpec(name=str(n), dtype="float32", shape=(1,) * n) for n in outputs)
        artifact = replace(ARTIFACT, adopted=mock.Mock(), outputs=ends)
        return replace(settings(1)[0], artifact=artifact)

    detectors, classifiers = [adopted(3, 2) for _ in range(2)], [adopted(2) for _ in range(3)]
    trained = settings(2)
    assert together.races([*detectors, *classifiers, *trained, adopted(4)], RunOptions()) == [
        detectors, classifiers, trained,
    ]  # fmt: skip


def test_a_memory_that_holds_no_two_is_told(scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, said = scripted(0.0, 0.1, 0.2), []
    made.room = 1
    monkeypatch.setattr(running, "one_by_one", lambda planned, *rest, **told: iter([(len(planned), tmp_path)]))
    options = RunOptions(race_memory_mib=10)
    alone = list(together.run(settings(3), tmp_path, options, say=said.append))
    assert alone == [(3, tmp_path)] and said == [
        "--race-memory 10 MiB does not hold 3 of 3 settings beside another: they are measured alone"
    ]


class Stub:
    """A worker that answers bursts of 1 ms, and holds more memory with each."""

    def __init__(self, growth: int = 0) -> None:
        self.pid, self.bytes, self.growth, self.watch = 1, 100 << 20, growth, lambda: None

    def resident_bytes(self) -> int:
        self.bytes += self.growth
        return self.bytes


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    for options in (RunOptions(), RunOptions(race=False)):
        with pytest.raises(OSError, match="results"):
            next(together.run(settings(2), tmp_path / "results", options))


def test_a_heat_holds_its_room_and_each_process_its_limit() -> None:
    class Entry:
        def __init__(self, worker: Stub, limit: float) -> None:
            self.worker, self._limit = worker, limit
            worker.close = lambda: None

        def check(self, held: int) -> None:
            if held > self._limit:
                raise OutOfMemory("too large")

        def failed(self, error: Exception) -> str:
            return str(error)

    field = heat._Field(seen := heat.Heat(settings=3), 350 << 20)
    for i, (growth, limit) in enumerate([(0, math.inf), (30 << 20, math.inf), (0, 50 << 20)]):
        field.enter(i, Entry(Stub(growth), limit), [i])
    assert math.isnan(field.attempt(2, lambda entry: 1.0)) and "too large" in seen.results[2]
    assert field.attempt(0, lambda entry: 1.0) == 1.0 and not field.is_full()
    answers = [field.attempt(1, lambda entry: 1.0) for _ in range(9)]
    assert answers[0] == 1.0 and math.isnan(answers[-1])
    assert seen.waiting == [1] and list(field.running) == [0], "one that outgrows the room waits for another heat"
