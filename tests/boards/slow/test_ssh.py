"""`--host`: a run over a real OpenSSH server, and what may go wrong with the link and on the other side."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import foreign
import pytest
import sshd
from conftest import Command, clean_environment
from factories import make_artifact
from PIL import Image
from sshd import Board, wait_until

import edgebench
from edgebench import artifact
from edgebench.boards import orders, remote_run
from edgebench.boards.ssh import Host
from edgebench.commands.run import command as run_command
from edgebench.errors import UsageError
from edgebench.machine.power.place import Watts
from edgebench.measuring import testset
from edgebench.results import store

pytestmark = pytest.mark.xdist_group("ssh")
SHORT = ("--runtime", "fake", "--launches", "1", "--duration", "0.1", "--max-seconds", "1", "--precision-target", "0")
LONG = ("--runtime", "fake", "--launches", "1", "--duration", "4", "--precision-target", "0")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with sshd.board(tmp_path_factory.mktemp("board") / "it") as made:
        yield made


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one artifact."""
    root = tmp_path_factory.mktemp("desk")
    make_artifact(root / "artifacts" / "net-onnx")
    return root


def there(board: Board, desk: Path, *more: str | Path) -> list[str]:
    return ["run", "--host", "board", "--ssh-config", str(board.client), "--workspace", str(desk), *map(str, more)]


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "edgebench", *arguments], env=clean_environment(), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def measuring(progress: Path) -> bool:
    return progress.is_file() and "measuring" in progress.read_text()


def test_a_run_comes_home_as_if_made_here(board: Board, desk: Path, in_process: Command) -> None:
    done = in_process(*there(board, desk, *SHORT, "--json"))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["runtime"], row["status"], row["evidence"]) == ("fake", "ok", "scripted")
    (result,), problems = store.read_all(desk / "results")
    assert not problems and result.summary and result.launches[0].samples
    assert board.sent() and not board.jobs()
    wait_until(lambda: not board.processes(), f"left behind: {board.processes()}")


def test_two_settings_race_on_the_board(board: Board, tmp_path: Path, in_process: Command) -> None:
    paths = [tmp_path / "artifacts" / name for name in ("one", "two")]
    for version, path in enumerate(paths):
        make_artifact(path, content=bytes([8, 8 + version]))
    done = in_process(*there(board, tmp_path, *paths, *SHORT, "--json"))
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout)
    assert one["race"] == two["race"] != "" and {one["standing"], two["standing"]} == {"fastest", "undecided"}
    assert {one["host"], two["host"]} == {"board"} and not board.jobs()


def test_an_artifact_is_evaluated_there(board: Board, desk: Path, tmp_path: Path, in_process: Command) -> None:
    made, images = artifact.read(desk / "artifacts" / "net-onnx"), tmp_path / "test.npz"
    held_out = artifact.read_reference(made)
    testset.write(images, list(held_out.images), held_out.labels, held_out.logits, made.origin)
    arguments = ["--host", "board", "--ssh-config", board.client, "--workspace", desk, "--images", images]
    done = in_process("evaluate", made.path, *arguments, "--runtime", "fake", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    assert told["evaluation"]["images"] == len(held_out.images) and told["evaluation"]["torch_agreement"] == 1
    assert not board.jobs()


def test_a_model_file_is_adopted_here_and_measured_and_judged_there(
    board: Board, tmp_path: Path, in_process: Command
) -> None:
    """With its inputs, its reference and the pictures, which become its input on the board."""
    net, there = foreign.colours(tmp_path / "colours.onnx"), ["--host", "board", "--ssh-config", board.client]
    for place, name in enumerate(("red", "green", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            shade = [30 * number] * 3
            shade[place] += 120
            Image.new("RGB", (8, 8), tuple(shade)).save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "names.txt").write_text("red\ngreen\nblue\n")
    asked = ["--images", tmp_path / "photos", "--preprocess", "unit", "--class-names", tmp_path / "names.txt"]
    place = ["--runtime", "onnxruntime", "--workspace", tmp_path, "--json"]
    done = in_process("evaluate", net, *asked, *there, *place)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    assert (told["evaluation"]["images"], told["evaluation"]["accuracy"]) == (12, 1)
    done = in_process("run", net, *there, *SHORT[2:], *place)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["status"], row["evidence"], row["host"]) == ("ok", "measured", "board") and row["adopted"]
    assert not board.jobs()


def test_a_dropped_link_costs_nothing_and_nothing_is_sent_twice(board: Board, desk: Path, tmp_path: Path) -> None:
    progress, before = tmp_path / "progress", len(list((desk / "results").glob("*")))
    sent_before = (board.folder / "files").is_dir() and board.sent()  # by another test, unless this one runs alone
    run = start(there(board, desk, *LONG, "--progress", progress))
    wait_until(lambda: measuring(progress), "it does not measure")
    assert board.drop_connections()
    _, stderr = run.communicate(timeout=120)
    assert run.returncode == 0, stderr
    told = [json.loads(line) for line in progress.read_text().splitlines()]
    steps = [step.get("status", "") for step in told]
    lost = next(number for number, step in enumerate(steps) if "the link is lost" in step)
    assert not any("sending" in step for step in steps[0 if sent_before else lost :])
    assert len([step for step in told if "result" in step]) == 1
    assert len(list((desk / "results").glob("*"))) == before + 1 and not board.jobs()
    wait_until(lambda: not board.processes(), f"left behind: {board.processes()}")


def test_a_desk_that_dies_finds_its_results_later(
    board: Board, desk: Path, tmp_path: Path, in_process: Command
) -> None:
    progress = tmp_path / "progress"
    run = start(there(board, desk, *LONG, "--progress", progress))
    wait_until(lambda: measuring(progress), "it does not measure")
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    wait_until(lambda: not board.processes(), f"left behind: {board.processes()}")
    assert len(board.jobs()) == 1  # whole, and waiting
    again = in_process(*there(board, desk, *LONG))
    assert again.returncode == 0 and "picking it up" in again.stderr, again.stderr
    assert not board.jobs()


def test_ctrl_c_ends_the_job_there(board: Board, desk: Path, tmp_path: Path) -> None:
    progress = tmp_path / "progress"
    run = start(there(board, desk, *LONG[:-4], "--duration", "600", "--progress", progress))
    wait_until(lambda: measuring(progress), "it does not measure")
    os.kill(run.pid, signal.SIGINT)
    _, stderr = run.communicate(timeout=120)
    assert run.returncode == 130 and "Interrupted" in stderr, stderr
    assert not board.jobs()
    wait_until(lambda: not board.processes(), f"left behind: {board.processes()}")


@pytest.mark.parametrize(
    "address",
    ["-oProxyCommand=touch {0}", "board;touch {0}", "board\ntouch {0}", "board$(touch {0})", "`touch {0}`", "board|x",
     "user;x@board", "-l", "", "a b", "@board", "ssh://board;x", "ssh://board:22:22", "böard"],
)  # fmt: skip
def test_a_host_that_is_more_than_a_name_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a host"):
        Host(address.format(tmp_path / "harm")).command("true")
    assert not (tmp_path / "harm").exists()


def test_each_board_of_a_fleet_has_a_job_of_its_own(tmp_path: Path) -> None:
    """Also two entries for one machine: neither may follow the other's."""
    order = remote_run.Order(arguments=("run",), artifacts=(), folder=tmp_path, board="one")
    assert len({replace(order, board=name).identity for name in ("one", "two")}) == 2
    assert replace(order).identity == order.identity != replace(order, arguments=("run", "--batch=2")).identity


@pytest.mark.parametrize(
    ("address", "name"),
    [("board", "board"), ("me@board.local", "board.local"), ("me@10.0.0.7", "10.0.0.7"), ("ssh://me@b:2222", "b"),
     ("fe80::1%eth0", "fe80::1%eth0"), ("ssh://[::1]:22", "[::1]")],
)  # fmt: skip
def test_hosts_are_named_without_their_user(address: str, name: str) -> None:
    host = Host(address)
    assert host.name == name and host.command("true")[-3:] == ["--", address, "true"]


def test_shell_text_in_options_and_names_stays_text(board: Board, tmp_path: Path, in_process: Command) -> None:
    harm = board.home / "harm"
    make_artifact(tmp_path / "artifacts" / "net; touch $(harm) `x`-onnx")
    done = in_process(*there(board, tmp_path, "--device", f"cpu;touch {harm}\n$(touch {harm})'\"`touch {harm}`"))
    assert done.returncode == 2 and "unknown device" in done.stderr, done.stderr
    assert not harm.exists() and not board.jobs()


OLD = 'case "$1" in -V) echo Python 3.8.10;; *) echo too old to be asked >&2; exit 1;; esac'


@pytest.mark.parametrize(
    ("python", "message"),
    [
        (OLD, "its Python 3.8.10 is too old"),
        (f'exec {shlex.quote(sys.executable)} -S "$@"', "edgebench is not installed there"),
    ],
    ids=["old", "bare"],
)
def test_what_a_board_lacks_is_said_with_the_remedy(
    python: str, message: str, desk: Path, tmp_path: Path, in_process: Command
) -> None:
    with sshd.board(tmp_path / "it", python=python) as made:
        done = in_process(*there(made, desk, *SHORT))
    assert done.returncode == 1 and message in done.stderr and "edgebench devices setup board" in done.stderr


def test_a_board_that_prints_for_ever_costs_50_mib(
    desk: Path, tmp_path: Path, in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real server, with the real bound: the desk leaves it, and nothing goes on there."""
    read: list[int] = []
    true = os.read
    monkeypatch.setattr(os, "read", lambda number, size: read.append(len(block := true(number, size))) or block)
    with sshd.board(tmp_path / "it", python=f"exec yes {'Welcome ' * 500}") as made:
        done = in_process(*there(made, desk, *SHORT))
        wait_until(lambda: not made.processes(), "it goes on there")
    assert done.returncode == 1 and "it said more than 50 MiB" in done.stderr
    assert sum(read) < 52 * 2**20


def test_a_board_with_other_code_is_refused(desk: Path, tmp_path: Path, in_process: Command) -> None:
    hello = '{"edgebench": "0.0.1", "code": "", "machine": "aarch64"}'
    python = f"case \"$1\" in -V) echo Python 3.11.2;; *) echo '{hello}'; cat >/dev/null;; esac"
    with sshd.board(tmp_path / "it", python=python) as made:
        done = in_process(*there(made, desk, *SHORT))
    assert done.returncode == 1 and "edgebench there is 0.0.1" in done.stderr


def test_a_full_disk_there_is_said_and_leaves_nothing_half(desk: Path, tmp_path: Path, in_process: Command) -> None:
    """The shell's limit on the size of files stands for the disk; the kernel enforces it in the middle of a file."""
    python = f'ulimit -f 1; exec {shlex.quote(sys.executable)} "$@"'
    make_artifact(tmp_path / "desk" / "artifacts" / "big-onnx", content=os.urandom(3_000_000))
    with sshd.board(tmp_path / "it", python=python) as made:
        done = in_process(*there(made, tmp_path / "desk", *SHORT))
        assert done.returncode == 1 and "disk is full" in done.stderr, done.stderr
        assert not made.sent() and not made.jobs()


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 9 MB at this place; False where this user may not make one."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", folder], capture_output=True)
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_would_be_full_is_told_before_anything_is_sent(tmp_path: Path, in_process: Command) -> None:
    make_artifact(tmp_path / "desk" / "artifacts" / "big-onnx", content=os.urandom(3_000_000))
    with sshd.board(tmp_path / "it") as made, small_disk(made.folder) as mounted:
        if not mounted:
            pytest.skip("only root may mount a small disk; the test above has the kernel refuse in another way")
        done = in_process(*there(made, tmp_path / "desk", *SHORT))
        assert done.returncode == 1 and "disk is full" in done.stderr and "MiB are free" in done.stderr, done.stderr
        assert not made.sent() and not made.jobs()


def test_the_functions_of_the_package_measure_there_too(board: Board, desk: Path, tmp_path: Path) -> None:
    there = {"workspace": desk, "host": "board", "ssh_config": board.client, "runtime": "fake"}
    few = {"launches": 1, "duration_s": 0.1, "max_seconds": 1.0, "precision_target": 0.0, "threads": 2}
    (result,) = edgebench.run(**there, **few, watts=Watts(3.5, 12.0), unverified=True)
    assert (result.host, result.job.runtime, result.job.threads, result.status) == ("board", "fake", 2, "ok")
    assert result.job.unverified and result.summary.launches == 1

    made, images = artifact.read(desk / "artifacts" / "net-onnx"), tmp_path / "test.npz"
    held_out = artifact.read_reference(made)
    testset.write(images, list(held_out.images), held_out.labels, held_out.logits, made.origin)
    with warnings.catch_warnings(record=True) as warned:
        (judged,) = edgebench.evaluate(made, images=images, batch=4, **there)
    assert "board: warning: mobilenetv3 (onnx) on fake: the accuracy" in str(warned[0].message)
    assert {warning.filename for warning in warned} == {__file__}, "a warning names the line that called the function"
    assert judged.host == "board" and judged.evaluation.images == len(held_out.images)
    with pytest.raises(UsageError, match=r"board: .*unknown device 'no_such'"):
        edgebench.run(device="no_such", **there, **few)
    with pytest.raises(UsageError, match="a profile in a file is not sent"):
        edgebench.run(device="own.toml", **there)
    with pytest.raises(UsageError, match="is not a host"):
        edgebench.run(workspace=desk, host="a;b")
    assert not board.jobs()


def test_options_become_arguments_that_a_command_reads_back() -> None:
    given = {
        "runtimes": ("fake",), "batch": None, "scenario": "camera", "rate_hz": 30.0, "strict": True,
        "unverified": False, "runtime_options": {"a": "b=c"}, "watts": Watts(3.5, 12.0), "max_seconds": 2.0,
    }  # fmt: skip
    with run_command.make_context("run", orders.arguments(given)) as context:
        read = context.params
    assert {key: read[key] for key in given} == given
