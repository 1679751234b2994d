"""The bounds on what a board may cost: the time of its greeting, the size and the number of its results."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import board_kinds
import pytest
from factories import make_artifact, make_job, make_result

from edgebench.boards import messages, remote_run, ssh
from edgebench.boards.messages import LARGEST_RESULT, Event
from edgebench.boards.remote_run import Order, Watch
from edgebench.boards.ssh import Connection
from edgebench.errors import BadFile, EdgebenchError
from edgebench.records import jsonio


def test_a_greeting_that_never_comes_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "GREETING_LIMIT_S", 0.2)
    (tmp_path / "said").write_text("Welcome\n")
    silent = board_kinds.Speaker(tmp_path / "said", silent=True)
    with pytest.raises(EdgebenchError, match="board does not answer"), Connection(silent) as connection:
        connection.greet()


def test_the_page_says_the_limits_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    limits = f"The greeting may take {ssh.GREETING_LIMIT_S / 60:g} minutes, a result {LARGEST_RESULT / 2**20:g} MiB"
    assert limits in page and f"more than {ssh.MOST_TALK / 2**20:g} MiB of talk" in page


def test_a_result_has_a_largest_size() -> None:
    told = messages.heard(Event, b'{"result": %d}' % LARGEST_RESULT, "board")
    assert told.result == LARGEST_RESULT
    for size in (LARGEST_RESULT + 1, 2**70, -1):
        with pytest.raises(EdgebenchError, match=r"at most|at least|64 bits"):
            messages.heard(Event, b'{"result": %d}' % size, "board")


def test_a_board_sends_so_many_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_run, "MOST_RESULTS", 3)
    made = make_artifact(tmp_path / "net")
    content = jsonio.dumps(make_result(made, job=make_job(made))).encode()
    endless = SimpleNamespace(
        host=SimpleNamespace(name="board"), tell=lambda request: None, waiting=lambda limit_s: True,
        hear=lambda kind, limit_s: Event(result=len(content)), body=lambda size: content,
    )  # fmt: skip
    order = Order(arguments=("run",), artifacts=(made,), folder=tmp_path / "results", board="board")
    came: list[Path] = []
    watch = Watch(result=lambda result, path: came.append(path))
    with pytest.raises(BadFile, match="board sent more than 3 results"):
        remote_run._follow(endless, order, remote_run._JobState(), watch)
    assert len(came) == 3
