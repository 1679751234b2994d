"""A board's wrong clock: what is dated, what is old, and what is told, whenever something sets it."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest

from edgebench.boards import agent, dating
from edgebench.boards.requests import Lacking, Start
from edgebench.records import processes

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
DAY_S = 24 * 3600.0


def result(created: datetime, began_ns: int | None = None) -> str:
    launches = [] if began_ns is None else [{"samples": {"began_ns": began_ns}}]
    return json.dumps({"created": created.isoformat(), "launches": launches})


def job(folder: Path, began_s: float, boot: str = "") -> Path:
    told = dating.began() | {"monotonic_s": began_s}
    (folder / dating.BEGAN).write_text(json.dumps(told | ({"boot": boot} if boot else {})))
    return folder


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What the board's two clocks show: the one on the wall, and the one that nobody sets."""
    shown = [NOW.timestamp(), 5000.0]
    monkeypatch.setattr(dating.time, "time", lambda: shown[0])
    monkeypatch.setattr(dating.time, "monotonic", lambda: shown[1])
    return shown


@pytest.mark.parametrize("step_days", [0, 400, -3650])
def test_a_clock_that_is_set_during_a_run_dates_no_result(step_days, tmp_path, clock):
    made = job(tmp_path, 4000.0)
    text = result(NOW - timedelta(days=step_days, seconds=100), 4_900_000_000_000)
    assert dating.age_s(made, text) == pytest.approx(100)
    assert 0 <= dating.age_s(made, result(NOW - timedelta(days=step_days))) <= 1000, "no older than its job"


def test_after_a_reboot_the_clock_on_the_wall_is_all_there_is(tmp_path, clock):
    made = job(tmp_path, 4000.0, boot="another")
    assert dating.age_s(made, result(NOW - timedelta(hours=2), 1)) == pytest.approx(7200)
    assert dating.age_s(made, result(NOW + timedelta(days=9))) == 0


def test_the_desk_dates_a_result_by_its_own_clock_and_says_how_wrong_the_boards_was():
    told = NOW - timedelta(days=400)
    assert dating.moment(told.isoformat(), 60, NOW) == ("2026-11-28T11:59:00.000000+00:00", 400 * DAY_S - 60)
    same = NOW - timedelta(seconds=70)
    assert dating.moment(same.isoformat(), 60, NOW) == ("2026-11-28T11:58:50.000000+00:00", 0), "it is left as it is"
    assert dating.moment((NOW + timedelta(days=9000)).isoformat(), 0, NOW)[0] == "2026-11-28T12:00:00.000000+00:00"
    assert dating.said(400 * DAY_S) == "was 400 days behind" and dating.said(-90) == "was 90 seconds ahead"


def test_what_is_old_is_old_by_the_desks_clock_whatever_the_boards_shows(tmp_path, monkeypatch):
    """An unfetched result lies there while something sets the board's clock 400 days on."""
    said = []
    monkeypatch.setattr(agent.Desk, "tell", lambda desk, answer, body=b"": said.append(answer))
    board, desk = agent.Agent(tmp_path), NOW.timestamp()
    name = sha256(b"hello").hexdigest()
    (board.files / name).write_bytes(b"hello")
    board.do_lacks(Lacking({name: 5}, desk))
    folder = board.jobs / "a"
    board._lay_out(folder, Start(job="a", arguments=("run",), folders={"net": {"file": name}}))
    (board.files / f".partial-{processes.tag()}-x").touch()
    (board.files / f".partial-{2**22 + 1}-1-x").touch()
    (board.jobs / f".new-{2**22 + 1}-1-x").mkdir()
    monkeypatch.setattr(time, "time", lambda: desk + 400 * DAY_S)
    later = agent.Agent(tmp_path)
    later.do_lacks(Lacking({}, desk + 20 * DAY_S))
    assert folder.exists() and (board.files / name).exists()
    assert {path.name for path in board.files.glob(".*")} == {f".partial-{processes.tag()}-x"}
    assert not list(board.jobs.glob(".new-*"))
    agent.Agent(tmp_path).do_lacks(Lacking({}))  # a desk that tells no clock
    assert folder.exists()
    later.do_lacks(Lacking({}, desk + 31 * DAY_S))
    assert not folder.exists() and not (board.files / name).exists()
