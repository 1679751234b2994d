"""Measurements as steps: several in a race, what a killed attempt left, and what failed before or in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from factories import make_artifact, make_job, make_result

from edgebench.errors import EdgebenchError
from edgebench.machine.device import detect
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned, keep
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace, now
from edgebench.sweeping import measured, perform
from edgebench.sweeping.measured import Measurement
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Measure, StepOutcome

ARTIFACT = make_artifact()


@pytest.fixture
def kept(tmp_path) -> Records:
    with Records(Workspace(tmp_path / "runs")) as records:
        records.workspace.results.mkdir(parents=True)
        yield records


@pytest.fixture
def race(kept: Records, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[StepOutcome]]:
    """Performs a race of so many steps, whose measurements are scripted by their places."""

    def performed(count: int, ran: Callable[[list[Planned]], list[Result]], unready: int = -1, left: int = -1):
        items = [
            Planned(job=make_job(ARTIFACT, threads=n + 1), artifact=ARTIFACT, profile=detect()) for n in range(count)
        ]
        begun = [
            kept.begin(Measure(source=str(n), device="cpu", machine="m", options=RunOptions(runtimes=("fake",))))
            for n in range(count)
        ]
        if left >= 0:
            keep(replace(make_result(job=items[left].job, artifact=ARTIFACT), created=now()), kept.workspace.results)

        def of(one: StepOutcome, kept: Records) -> Measurement:
            if (place := int(one.step.source)) == unready:
                raise EdgebenchError("its export is gone")
            return Measurement(one, ARTIFACT, items[place], kept)

        def run(planned: list[Planned], folder, options: RunOptions, **told):
            assert options.runtimes == ()
            for result in ran(list(planned)):
                yield result, keep(result, folder)

        monkeypatch.setattr(Measurement, "of", of)
        monkeypatch.setattr(measured.together, "run", run)
        return perform.perform_race(begun, kept)

    return performed


def results(planned: list[Planned], **changes) -> list[Result]:
    return [replace(make_result(job=item.job, artifact=ARTIFACT), created=now(), **changes) for item in planned]


def test_each_gets_its_own_result_and_its_share_of_the_time(race, kept: Records) -> None:
    outcomes = race(3, results)
    assert [one.status for one in outcomes] == ["ok"] * 3 and len({one.path for one in outcomes}) == 3
    assert [kept.result(one).job.threads for one in outcomes] == [1, 2, 3]
    assert len({one.seconds for one in outcomes}) == 1


def test_one_that_cannot_begin_is_told_and_one_that_is_complete_is_not_made_again(race) -> None:
    ran: list[int] = []

    def made(planned: list[Planned]) -> list[Result]:
        ran.extend(item.job.threads for item in planned)
        return results(planned)

    outcomes = race(3, made, unready=0, left=1)
    assert ran == [3] and [one.status for one in outcomes] == ["failed", "ok", "ok"]
    assert "its export is gone" in outcomes[0].message


def test_what_ends_the_race_is_the_message_of_those_that_had_no_result(race) -> None:
    def broken(planned: list[Planned]) -> list[Result]:
        raise EdgebenchError("the folder is full")

    outcomes = race(2, broken)
    assert [(one.status, one.message) for one in outcomes] == [("failed", "the folder is full")] * 2
    crashed = race(2, lambda planned: results(planned[:1]) + results(planned[1:], status="crashed", message="SIGSEGV"))
    assert [one.status for one in crashed] == ["ok", "crashed"] and crashed[1].message == "SIGSEGV"
