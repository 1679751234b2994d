"""How a pick divides its time."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from rich.console import Console

from edgebench.choosing import budget, pick_times
from edgebench.choosing.budget import Budget, OutOfTime, StepsInTime
from edgebench.choosing.pick_times import Counted
from edgebench.choosing.pick_trials import Trials
from edgebench.commands import pick
from edgebench.records.sifted import Sifted
from edgebench.records.workspace import Workspace
from edgebench.sweeping import work
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Adopt, StepOutcome
from edgebench.sweeping.work import SweepState

COUNTED = Counted.of(2000)
SEEN = Sifted(model="net", accuracy=0.8, images=64, pixels=96, image_s=0.01, usual_size=224, rounds=1)


def test_the_splits_are_counted_as_they_are_cut() -> None:
    assert (COUNTED.train, COUNTED.validation, COUNTED.test) == (1400, 200, 400)
    assert min(vars(Counted.of(3)).values()) >= 1


def test_sizes_end_at_those_of_the_weights_and_at_a_limit() -> None:
    assert pick_times.sizes(SEEN) == [224, 192, 160, 128, 96]
    assert pick_times.sizes(SEEN, most=160) == [160, 128, 96]
    assert pick_times.sizes(Sifted(model="tiny", usual_size=64)) == [64]


def test_more_time_brings_larger_images() -> None:
    probed = [pick_times.probe_size(SEEN, COUNTED, slot_s) for slot_s in (10, 110, 2000)]
    trained = [pick_times.training_size(SEEN, COUNTED, slot_s) for slot_s in (10, 600, 9000)]
    assert probed[0] == trained[0] == 96 and probed[-1] == trained[-1] == 224
    assert probed == sorted(probed) and trained == sorted(trained)
    assert 96 < probed[1] < 224 and 96 < trained[1] < 224


def test_as_many_are_trained_as_get_their_least() -> None:
    assert pick_times.trainings([100, 100, 100], 350, most=3) == 3
    assert pick_times.trainings([100, 100, 100], 250, most=3) == 2
    assert pick_times.trainings([100, 400, 100], 500, most=3) == 1  # the second would take the time of all
    assert pick_times.trainings([100], 60, most=3) == 1  # it has fewer epochs
    assert pick_times.trainings([100], 30, most=3) == 0


@pytest.mark.parametrize(
    ("answers", "left_s", "until_s"),
    [(0, 100.0, -30.0), (0, -20.0, -30.0), (0, -31.0, None), (1, 90.0, 50.0), (1, 40.0, None)],
)
def test_until_there_is_an_answer_a_trial_may_be_late(answers: int, left_s: float, until_s: float | None) -> None:
    """A pick ends with its best so far. While it has none, a late answer is better than none at all."""
    asked, until, told = SimpleNamespace(budget_s=100.0), [], []
    ready = SimpleNamespace(asked=asked, site=SimpleNamespace(device="cpu"), images=60, left_out={})

    def do(steps: list, until_s: float) -> dict:
        until.append(until_s)
        raise OutOfTime

    steps, work = mock.Mock(), SimpleNamespace(do=do, done=lambda steps: False)
    steps.began_with.return_value = SimpleNamespace(learned=False)
    steps.trial.return_value = SimpleNamespace(steps=[], measurements=[])
    budget = SimpleNamespace(left_s=left_s, late_s=30.0)
    trials = Trials(ready, steps, mock.Mock(), budget, work, told.append, mock.Mock())
    trials.best = dict.fromkeys("ab"[:answers], (0.1, None))
    trials._trial("net")
    assert until == ([] if until_s is None else [until_s])
    why = "no time was left for its trial run" if until_s is None else "was not finished after 0 s"
    assert why in trials.left_out["net"]


@pytest.mark.parametrize("room", [True, False], ids=["never-ends", "another-has-the-machine"])
def test_steps_end_within_the_budget_and_its_margin_whoever_asks_for_more(tmp_path: Path, room: bool) -> None:
    ended: list[str] = []

    class Slow:
        """An engine whose steps never end."""

        def has_room(self, step: object) -> bool:
            now_s[0] += 0.0 if room else 10.0
            return room

        def start(self, steps: list[Adopt]) -> list[StepOutcome]:
            return [StepOutcome(step=step, status="running", since="", began="") for step in steps]

        def ended(self, timeout_s: float) -> list[StepOutcome]:
            now_s[0] += 10.0
            return []

        def close(self) -> None:
            ended.append("closed")

    now_s, step = [0.0], Adopt(artifact="a", folder="f", model="m")
    clock = mock.patch("edgebench.choosing.budget.time.monotonic", lambda: now_s[0])
    with clock, mock.patch("edgebench.sweeping.work.TICK_S", 0.0):
        kept, budget = Records(Workspace(tmp_path)), Budget(100.0, tmp_path / "pick.json", began=0.0)
        work = StepsInTime(kept, budget, lambda what, left_s: None, lambda kept, steps: Slow())
        with pytest.raises(OutOfTime):
            work.do([step], -1000.0)
        assert budget.late_s == 30.0 and now_s[0] == 140.0 and ended == ["closed"]
        with pytest.raises(OutOfTime):
            work.do([step], -1000.0)
    assert ended == ["closed"], "and none is begun after that"
    assert Budget(1800.0, tmp_path / "pick.json").late_s == 450.0


def test_the_budget_stands_still_while_another_edgebench_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, busy, shown = [0.0], [True], []
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(work.locks, "busy", lambda: busy[0])
    monkeypatch.setattr(work.locks, "waiting", lambda: work.locks.WAITING)
    kept, mine = Records(Workspace(tmp_path)), Budget(100.0, tmp_path / "budget.json")
    step = SimpleNamespace(identity="1", title="a training", needs=())

    def done(steps: list, kept: Records, engine: object, on_change: Callable[[SweepState], None]) -> dict:
        for moment, taken in ((1, True), (500, True), (500.2, False), (510, False)):
            now[0], busy[0] = moment, taken
            on_change(SweepState((step,), {} if moment < 510 else {"1": SimpleNamespace(step=step, status="running")}))
        return {}

    monkeypatch.setattr(budget, "settled", lambda steps, kept: {})
    monkeypatch.setattr(budget, "work", done)
    show = lambda what, left_s: shown.append((what, round(left_s, 1)))  # noqa: E731
    StepsInTime(kept, mine, show, lambda kept, steps: None).do([step], 0.0)
    assert shown == [(work.locks.WAITING, 99.0), (work.locks.WAITING, 99.0), ("a training", 89.2)]
    assert mine.waited_s == pytest.approx(499.2)
    mine.save()
    assert Budget(100.0, tmp_path / "budget.json").spent_s == pytest.approx(10.8)  # killed and begun again


def test_a_step_that_waits_in_its_own_process_is_told_by_its_phase() -> None:
    phases = {"1": "epoch 1", "2": f"onnx: {work.locks.WAITING} (process 7)"}
    kept = SimpleNamespace(phase=phases.get)
    running = {i: SimpleNamespace(step=SimpleNamespace(identity=i), status="running") for i in phases}
    assert work.waits(SweepState((), running), kept).endswith("(process 7)")
    assert work.waits(SweepState((), {"1": running["1"]}), kept) == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_pick_says_once_that_it_waits_in_a_log_too(terminal: bool) -> None:
    log, line = StringIO(), []
    show = pick._shows(Console(file=log, force_terminal=terminal, width=200), line.append)
    for what in ("epoch 1", work.locks.WAITING, work.locks.WAITING, "epoch 2"):
        show(what, 61.0)
    assert line[1] == f"1:01 left (standing still): {work.locks.WAITING}" and line[3] == "1:01 left: epoch 2"
    assert log.getvalue() == ("" if terminal else f"{work.locks.WAITING}; the budget stands still\n")
