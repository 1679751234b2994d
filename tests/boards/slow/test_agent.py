"""The program on a board, asked directly: what is damaged, cut short or hostile does no harm there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import clean_environment

from edgebench.boards import agent, supervisor
from edgebench.boards.requests import Follow

HELLO = b"hello"
NAME = sha256(HELLO).hexdigest()


class Talk:
    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process
        self.hello = json.loads(process.stdout.readline())

    def ask(self, do: str, body: bytes = b"", **request: Any) -> dict[str, Any]:
        self._process.stdin.write(json.dumps({"do": do} | request).encode() + b"\n" + body)
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def put(self, body: bytes, name: str = "", size: int | None = None) -> dict[str, Any]:
        return self.ask("put", body, sha256=name or sha256(body).hexdigest(), size=len(body) if size is None else size)


@contextmanager
def talk(home: Path) -> Iterator[Talk]:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgebench.boards.agent"], env=clean_environment(HOME=str(home)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with process:
        yield Talk(process)
        process.stdin.close()
        assert process.wait(60) in (0, 1)


def held(home: Path) -> list[Path]:
    return sorted((home / ".local/share/edgebench/files").iterdir())


def test_files_count_once_they_are_whole(tmp_path: Path) -> None:
    with talk(tmp_path) as board:
        assert board.ask("lacks", files={NAME: 5}) == {"lacks": [NAME]}
        assert "arrived damaged" in board.put(b"hullo", name=NAME)["error"]
        assert not held(tmp_path)
        assert board.put(HELLO) == {}
        assert board.ask("lacks", files={NAME: 5}) == {"lacks": []}
        (kept,) = held(tmp_path)
        kept.write_bytes(b"hel\0o")  # as a worn card gives back
        assert board.ask("lacks", files={NAME: 5}) == {"lacks": [NAME]}
        assert "disk is full" in board.ask("lacks", files={NAME: 2**60})["error"]
    with talk(tmp_path) as board:  # the link ends in the middle of a file
        board._process.stdin.write(json.dumps({"do": "put", "sha256": NAME, "size": 5}).encode() + b"\nhel")
    assert not held(tmp_path)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    job = {"job": "0" * 32, "arguments": ["run"], "folders": {"net": {"file": NAME}}}
    with talk(tmp_path) as board:
        board.put(HELLO)
        for name in ("../../x", "/etc/x", "..", "", "a/b", "a\nb", ".hidden", "x" * 300, None, 7):
            text = isinstance(name, str)
            said = "an allowed file name" if text else "expected str"
            assert said in board.ask("start", **job | {"job": name})["error"]
            assert said in board.ask("forget", job=name)["error"]
            refused = board.ask("start", **job | {"folders": {"net": {"file": name}}})["error"]
            assert ("a sha256" if text else "expected str") in refused
            if text:
                assert "a sha256" in board.ask("lacks", files={name: 5})["error"]
                for folders in ({name: {"file": NAME}}, {"net": {name: NAME}}):
                    assert "an allowed file name" in board.ask("start", **job | {"folders": folders})["error"]
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {NAME}


def test_what_is_no_request_is_refused_and_the_next_is_heard(tmp_path: Path) -> None:
    with talk(tmp_path) as board:
        assert board.hello["edgebench"] and len(board.hello["code"]) == 64
        for do in ("nothing", "__init__", "serve", ""):
            assert "request" in board.ask(do)["error"]
        assert board.ask("lacks")["error"] == "lacks: key 'files' is missing"
        assert board.ask("lacks", files={}) == {"lacks": []}


def test_a_job_that_ended_on_a_full_disk_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not write down why it ended: all that is known otherwise is that something killed it."""
    board, told = agent.Agent(tmp_path), []
    (tmp_path / "jobs" / "one").mkdir()
    (tmp_path / "jobs" / "one" / "lock").touch()
    board._desk = SimpleNamespace(tell=lambda answer, body=b"": told.append(answer))
    for free, lines in ((2**30, 0), (4096, 1)):
        told.clear()
        monkeypatch.setattr(agent.shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        board.do_follow(Follow("one"))
        assert told[-1] == {"ended": {"exit_code": None}}
        assert ["its disk is full" in answer["line"] for answer in told[:-1]] == [True] * lines


def test_a_job_that_cannot_write_down_how_it_ended_says_so_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk. What it says goes to the desk, where it was a traceback."""
    (tmp_path / "job.json").write_text('{"arguments": ["run"], "folders": []}')
    (tmp_path / ".ended.json").mkdir()
    monkeypatch.setattr(supervisor.subprocess, "Popen", lambda *a, **b: SimpleNamespace(wait=lambda: 1))
    monkeypatch.setattr(supervisor.signal, "signal", lambda number, act: None)
    with pytest.raises(SystemExit, match="with exit code 1, cannot be written down: Is a directory"):
        supervisor.supervise(tmp_path, 0)
