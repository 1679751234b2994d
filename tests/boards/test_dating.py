"""A board's wrong clock: what is dated, what is old, and what is told, whenever something sets it."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgebench.boards import agent, dating, remote_run
from edgebench.boards.messages import Started
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
    arriving = board.files / f".partial-{processes.tag()}-x"
    arriving.touch()
    os.utime(arriving, (1000, 1000))  # by the clock of a board that believes in 1970
    (board.files / f".partial-{2**22 + 1}-1-x").touch()
    (board.jobs / f".new-{2**22 + 1}-1-x").mkdir()
    monkeypatch.setattr(time, "time", lambda: desk + 400 * DAY_S)
    later = agent.Agent(tmp_path)
    later.do_lacks(Lacking({}, desk + 20 * DAY_S))
    assert folder.exists() and (board.files / name).exists()
    assert list(board.files.glob(".*")) == [arriving]
    assert not list(board.jobs.glob(".new-*"))
    agent.Agent(tmp_path).do_lacks(Lacking({}))  # a desk that tells no clock
    assert folder.exists()
    later.do_lacks(Lacking({}, desk + 31 * DAY_S))
    assert not folder.exists() and list(board.files.iterdir()) == [arriving]


def test_a_job_that_starts_anew_after_a_lost_link_is_dated_by_the_desks_clock(tmp_path, monkeypatch):
    """Its files are there already, so nothing but `start` is asked on the new connection."""
    monkeypatch.setattr(agent.supervisor, "start", lambda folder: None)
    monkeypatch.setattr(agent.Desk, "tell", lambda desk, answer, body=b"": None)
    board = agent.Agent(tmp_path)
    name = sha256(b"hello").hexdigest()
    (board.files / name).write_bytes(b"hello")
    asked: list[dict] = []
    connection = SimpleNamespace(ask=lambda kind, do, **said: asked.append({"do": do, **said}) or Started(known=False))
    monkeypatch.setattr(remote_run, "_follow", lambda *of: None)
    order = remote_run.Order(arguments=("run",), artifacts=(), folder=tmp_path, board="board")
    monkeypatch.setattr(time, "time", NOW.timestamp)
    remote_run._carry_out(connection, order, remote_run._JobState(started=True), remote_run.Watch())
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    (start,) = asked
    board.answer(start | {"folders": {"net": {"file": name}}})
    assert (board.jobs / order.identity / "job.json").stat().st_mtime == NOW.timestamp()


@pytest.mark.parametrize("left", [None, "", '{"boot": "'])
def test_a_job_that_does_not_say_when_it_began_tells_its_results_by_the_clock_on_the_wall(left, tmp_path, clock):
    if left is not None:
        (tmp_path / dating.BEGAN).write_text(left)
    assert dating.age_s(tmp_path, result(NOW - timedelta(hours=2), 1)) == pytest.approx(7200)


def test_only_a_file_that_is_gone_is_to_be_sent_again(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(agent.Desk, "tell", lambda desk, answer, body=b"": said.append(answer))
    board = agent.Agent(tmp_path)
    (board.jobs / "a").mkdir()
    board.answer({"do": "start", "job": "b", "arguments": ["run"], "folders": {"net": {"file": "0" * 64}}})
    monkeypatch.setattr(agent.supervisor, "untold", lambda folder: ["vanished.json"])
    board.answer({"do": "follow", "job": "a"})
    assert [answer.get("fix") for answer in said] == ["repeat the command, which sends it again", ""]
    assert all("error" in answer for answer in said) and list(board.jobs.iterdir()) == [board.jobs / "a"]


@pytest.mark.parametrize("clock", [1e29, -1, 7_258_118_401])
def test_a_clock_that_no_file_can_be_dated_with_is_refused(clock, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(agent.Desk, "tell", lambda desk, answer, body=b"": said.append(answer))
    board = agent.Agent(tmp_path)
    name = sha256(b"hello").hexdigest()
    (board.files / name).write_bytes(b"hello")
    board.answer({"do": "lacks", "files": {name: 5}, "clock": clock})
    assert "lacks.clock" in said[0]["error"]
