"""`edgebench devices setup`: a real installation by the board's own pip, over a real OpenSSH server."""

from __future__ import annotations

import io
import json
import shutil
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import sshd
from conftest import Command
from packaging.requirements import Requirement
from sshd import Board, wait_until

from edgebench.boards import provision
from edgebench.boards.ssh import Host
from edgebench.machine import packing

pytestmark = pytest.mark.xdist_group("ssh")


def lay_out_packages(folder: Path, *names: str) -> None:
    """What a board's system has in its Python: links to what is installed here, these and what they need."""
    folder.mkdir(exist_ok=True)
    for name in names:
        found = metadata.distribution(name)
        for top in {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (folder / top).exists():
                (folder / top).symlink_to(found.locate_file(top))
        needed = [Requirement(line) for line in found.requires or ()]
        lay_out_packages(folder, *(n.name for n in needed if not n.marker or n.marker.evaluate({"extra": ""})))


def set_up(board: Board, run: Command, *more: str):
    return run("devices", "setup", "board", "--ssh-config", board.client, "--runtime", "fake", *more)


def test_a_board_is_set_up_and_setting_it_up_again_finds_it_done(tmp_path: Path, in_process: Command) -> None:
    """Without a network; pip and what edgebench needs are the system's, for they take long to download and unpack.

    For the same reason an earlier virtual environment is there: making one with a pip of its own takes 10 s.
    """
    system = tmp_path / "system"
    lay_out_packages(system, "pip")
    offline = {"PYTHONPATH": str(system), "PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1"}
    with sshd.board(tmp_path / "it", **offline) as board:
        venv.create(board.folder / "venv")
        done = set_up(board, in_process, "--yes")
        assert done.returncode == 1 and "finds no package index" in done.stderr, done.stderr
        assert not (board.folder / "setup.json").exists()

        lay_out_packages(system, "numpy", "click", "psutil", "rich", *["tomli"] * (sys.version_info < (3, 11)))
        done = set_up(board, in_process, "--yes")
        assert done.returncode == 0 and "board: set up: fake" in done.stdout, done.stderr
        for step in ("sending edgebench", "installing edgebench", "Installing collected packages", "checking that it"):
            assert f"board: {step}" in done.stderr  # also where no terminal shows it
        assert (board.folder / "venv" / "bin" / "edgebench").exists()
        done = set_up(board, in_process, "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["plan"]["needed"] is False
        shutil.rmtree(board.folder / "venv")
        assert provision.plan(Host("board", board.client), ["fake"]).needed
        wait_until(lambda: not board.processes(), f"left behind: {board.processes()}")


def test_nothing_is_installed_without_consent(tmp_path: Path, in_process: Command) -> None:
    with sshd.board(tmp_path / "it") as board:
        done = set_up(board, in_process)
        assert done.returncode == 1 and "Go on?" in done.stderr
        assert not (board.folder / "venv").exists()


def test_a_python_without_venv_is_told_apart(tmp_path: Path, in_process: Command) -> None:
    """As Debian splits it: the module is there, and says that a part of it is missing."""
    said = "The virtual environment was not created successfully because ensurepip is not available."
    module = tmp_path / "venv"
    module.mkdir()
    (module / "__init__.py").touch()
    (module / "__main__.py").write_text(f"print({said!r}); raise SystemExit(1)")
    with sshd.board(tmp_path / "it", PYTHONPATH=str(tmp_path)) as board:
        done = set_up(board, in_process, "--yes")
    assert done.returncode == 1 and "cannot make virtual environments" in done.stderr and "-venv" in done.stderr


def test_a_python_too_old_is_told_before_anything_is_done(tmp_path: Path, in_process: Command) -> None:
    old = 'case "$1" in -V) echo Python 3.8.10;; *) exit 1;; esac'
    bin = tmp_path / "it" / "bin"
    with sshd.board(tmp_path / "it", python=old, PATH=str(bin)) as board:  # this machine may have newer ones in /usr
        (bin / "sh").symlink_to("/bin/sh")
        done = set_up(board, in_process, "--yes")
        assert done.returncode == 1 and "its Python 3.8.10 is too old" in done.stderr, done.stderr
        assert not board.folder.exists()


def test_the_wheel_is_whole_and_the_same_each_time() -> None:
    name, content = packing.wheel()
    assert packing.wheel() == (name, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        record = archive.read(next(n for n in names if n.endswith("RECORD"))).decode().split()
    assert {line.split(",")[0] for line in record} == names
    assert {"edgebench/cli.py", "edgebench/runtimes/fake.py", "edgebench/device_profiles/cpu.toml"} <= names
