"""`edgebench run --power-mode … --lock-clocks` on a stand-in Jetson, from the command line, killed and not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sshd
from conftest import PATIENCE_S, Command, clean_environment, eventually
from factories import make_artifact
from jetson_standin import FREE, HELD, Board

from edgebench.results import store

FAKE = ("--runtime", "fake", "--warmup", "0", "--launches", "1")


@pytest.fixture
def jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setenv("STANDIN_BOARD", str(tmp_path / "board"))
    monkeypatch.setenv("EDGEBENCH_STATE", str(tmp_path / "state"))
    made = Board(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    return made


def test_a_run_is_made_in_the_mode_it_asked_for_and_the_board_is_as_before(
    jetson: Board, edgebench: Command, tmp_path: Path
) -> None:
    small = make_artifact(tmp_path / "small").path
    done = edgebench(
        "run", small, *FAKE, "--duration", "0.2", "--power-mode", "15W", "--lock-clocks",
        "--workspace", tmp_path / "runs",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "power mode 15W (was 25W), clocks locked" in done.stderr and jetson.state == FREE
    ((result,), _) = store.read_all(tmp_path / "runs" / "results")
    assert [launch.before["nvpmodel"] for launch in result.launches] == ["15W"], "read back while it ran"
    assert not list((tmp_path / "state").iterdir())
    assert "power mode 15W," in " ".join(done.stdout.split()), "the table says it once"


def test_a_killed_run_is_told_of_by_the_next_and_undone_by_restore(
    jetson: Board, edgebench: Command, tmp_path: Path
) -> None:
    small = make_artifact(tmp_path / "small").path
    told = ("run", str(small), *FAKE, "--workspace", str(tmp_path / "runs"))
    command = [sys.executable, "-m", "edgebench", *told, "--duration", "90", "--power-mode", "15W", "--lock-clocks"]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) as run:
        assert eventually(lambda: jetson.state == HELD or run.poll() is not None)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=PATIENCE_S)
    assert jetson.state == HELD
    next_one = edgebench(*told, "--duration", "0.2")
    assert next_one.returncode == 0 and "was killed before it could put back" in next_one.stderr
    assert "devices restore" in next_one.stderr and jetson.state == HELD
    refused = edgebench(*told, "--duration", "0.2", "--power-mode", "25W")
    assert refused.returncode == 1 and "`edgebench devices restore`" in refused.stderr
    assert edgebench("devices", "restore").stdout.startswith("put back: ") and jetson.state == FREE


@pytest.mark.xdist_group("ssh")
def test_a_board_is_restored_from_the_desk(jetson: Board, edgebench: Command, tmp_path: Path) -> None:
    killed = "import os; from edgebench.machine import clocks\nwith clocks.hold('15W', True): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed], env=clean_environment(), timeout=PATIENCE_S)
    assert jetson.state == HELD
    of_board = {name: os.environ[name] for name in ("STANDIN_BOARD", "EDGEBENCH_STATE")}
    path = f"{jetson.bin}:{tmp_path / 'it' / 'bin'}:/usr/bin:/bin"
    with sshd.board(tmp_path / "it", PATH=path, **of_board) as board:
        command = ("devices", "restore", "--host", "board", "--ssh-config", board.client)
        done, again = edgebench(*command), edgebench(*command)
    assert done.stdout.startswith("put back: ") and jetson.state == FREE
    assert (again.returncode, again.stdout) == (0, "nothing to put back\n")
    assert edgebench("devices", "restore", "--host", "").returncode == 2, "an empty name is not this machine"
