"""What a killed command left outside of its workspace is removed by the next command that has the workspace."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import killing
import pytest
from conftest import Command
from factories import make_result

from edgebench.records import elsewhere, replacing
from edgebench.results import store


@pytest.fixture(autouse=True)
def no_workspace_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_root", None)
    monkeypatch.setattr(replacing, "_swept", set())


def test_what_a_kill_leaves_beside_out_is_gone_after_any_next_command(tmp_path: Path, in_process: Command) -> None:
    runs, out = tmp_path / "runs", tmp_path / "other place" / "report.html"
    store.save(make_result(), runs / "results")
    command = ["report", "--html", "--out", str(out), "--workspace", str(runs)]
    killing.run(command)
    code, count = killing.run(command)  # the cache is there, and the folder is known
    assert code == 0 and out.exists()
    left = 0
    for nth in range(1, count + 1):
        assert killing.run(command, nth)[0] == -9
        left += len(list(out.parent.iterdir())) - 1
        assert in_process("report", "--workspace", runs).returncode == 0
        assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert left


def test_a_staged_folder_beside_its_place_too(tmp_path: Path, in_process: Command) -> None:
    (tmp_path / "runs").mkdir()
    if (child := os.fork()) == 0:
        try:
            elsewhere.of(tmp_path / "runs")
            (tmp_path / "deploy").mkdir()
            with replacing.staged(tmp_path / "deploy" / "net") as scratch:
                (scratch / "file").touch()
                os.kill(os.getpid(), 9)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    assert list((tmp_path / "deploy").iterdir())
    in_process("report", "--workspace", tmp_path / "runs")
    assert not list((tmp_path / "deploy").iterdir())


def test_temporary_folders_and_the_workspace_itself_are_not_remembered(tmp_path: Path) -> None:
    assert elsewhere.of(tmp_path) == []
    with replacing.scratch() as scratch, replacing.rewritten(scratch / "file") as file:
        file.write(b"x")
    with replacing.rewritten(tmp_path / "results" / "file") as file:
        file.write(b"x")
    assert elsewhere.of(tmp_path) == []


def test_the_list_is_short_and_what_is_odd_in_it_is_passed_over(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    elsewhere.of(runs)
    for i in range(elsewhere.MOST + 5):
        elsewhere.remember(tmp_path / str(i))
        elsewhere.remember(tmp_path / str(i))
    found = elsewhere.of(runs)
    assert len(found) <= elsewhere.MOST and found[-1] == tmp_path / str(elsewhere.MOST + 4)
    assert len(set(found)) == len(found)
    (runs / elsewhere.NAME).write_bytes(b"relative\n/a\x1b[2J\n/fine\n")
    assert elsewhere.of(runs) == [Path("/fine")]
    (runs / elsewhere.NAME).write_bytes(b"\xff\xfe")
    assert elsewhere.of(runs) == []
    (runs / elsewhere.NAME).unlink()
    os.mkfifo(runs / elsewhere.NAME)
    elsewhere.remember(tmp_path)
    assert elsewhere.of(runs) == []


def test_a_list_from_elsewhere_removes_nothing_but_what_a_kill_left_here(tmp_path: Path, in_process: Command) -> None:
    (runs := tmp_path / "runs").mkdir()
    (theirs := tmp_path / "theirs").mkdir()
    for name in ("file", ".hidden", f".of-another{replacing.PARTIAL.replace(replacing._MACHINE, '0' * 8)}"):
        (theirs / name).touch()
    with tempfile.NamedTemporaryFile(dir=theirs, prefix=".held", suffix=replacing.PARTIAL) as held:
        assert replacing.taken(held)
        (runs / elsewhere.NAME).write_text(f"{theirs}\n")
        in_process("report", "--workspace", runs)
        assert len(list(theirs.iterdir())) == 4
