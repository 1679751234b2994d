"""A little of each kind of hostile input; and what it costs where a board never stops, or a command is killed."""

from __future__ import annotations

import itertools
import os
import random
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import board_kinds
import killing
import kinds
import pytest
from conftest import Command
from factories import make_artifact, make_result

from edgebench import artifact as folder
from edgebench.boards import ssh
from edgebench.boards.ssh import Connection
from edgebench.errors import BadFile, EdgebenchError
from edgebench.machine import locks
from edgebench.records import files, jsonio, replacing
from edgebench.records.result import Result
from edgebench.results import store

NOBODY, MEASURED = 65534, 20
ROUNDS = {"result files": 2, "conversations": 5, "indices": 1}


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_nothing_hostile_does_harm(kind: str, tmp_path: Path) -> None:
    for seed in range(ROUNDS.get(kind, 2)):
        assert kinds.KINDS[kind](random.Random(f"{kind} {seed}"), tmp_path / str(seed)) > 0


@pytest.mark.parametrize("complains", [False, True])
def test_a_board_that_prints_for_ever_is_left_after_so_many_bytes(
    complains: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "MOST_TALK", 1 << 20)
    (tmp_path / "said").write_text("Welcome\n" * 8000)
    board = board_kinds.Speaker(tmp_path / "said", endless=True, complains=complains)
    with pytest.raises(EdgebenchError, match="said more than 1 MiB"), Connection(board) as connection:
        connection.greet()


def test_ctrl_c_ends_the_wait_for_a_board_that_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "said").write_text("Welcome\n")
    pressed = threading.Event()
    with (
        pytest.raises(KeyboardInterrupt),
        Connection(board_kinds.Speaker(tmp_path / "said", silent=True), stopped=pressed.is_set) as connection,
    ):
        threading.Timer(0.1, pressed.set).start()
        connection.greet()


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    store.save(make_result(), tmp_path)
    found, problems = store.read_all(tmp_path)
    assert len(found) == 1 and "is no regular file" in problems[0].message
    (tmp_path / "link.json").symlink_to(tmp_path / "pipe.json")
    with pytest.raises(BadFile, match="is no regular file"):
        jsonio.read(Result, tmp_path / "link.json")
    with pytest.raises(BadFile, match="is larger than"):
        files.content(next(tmp_path.glob("2*.json")), most=100)


def test_the_measuring_lock_is_one_for_all_users_and_every_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "shm", tmp_path / "tmp"
    for place in places:
        place.mkdir()
    monkeypatch.delenv(locks.PLACE)
    monkeypatch.setattr(locks, "PLACES", places)
    waited = []
    for private in places:  # a service has a /tmp of its own, or cannot write to the other
        for tmpdir in ("a", "b"):
            monkeypatch.setenv("TMPDIR", str(tmp_path / tmpdir))
            with locks.device_to_ourselves(lambda: waited.append(1)):
                monkeypatch.setattr(locks, "PLACES", (private,))
                with locks.machine_shared() as ours:
                    assert not ours
                monkeypatch.setattr(locks, "PLACES", places)
    assert not waited
    assert {(place / locks.NAME).stat().st_mode & 0o777 for place in places} == {0o644}
    (places[0] / locks.NAME).unlink()
    os.mkfifo(places[0] / locks.NAME)
    (places[1] / locks.NAME).unlink()
    (places[1] / locks.NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EdgebenchError, match="no lock for measuring"), locks.machine_shared():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user for a moment")
def test_two_users_with_two_tmpdirs_never_measure_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real users, and two places for locks of which each user may see both: the one who comes first makes the files."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o1777)
        monkeypatch.delenv(locks.PLACE)
        monkeypatch.setattr(locks, "PLACES", (Path(name),))
        told = [_measuring(user) for user in (NOBODY, 0, NOBODY)]
        spans = sorted(tuple(map(int, line.split())) for read in told for line in read().splitlines())
        assert (Path(name) / locks.NAME).stat().st_uid in (0, NOBODY)
    assert len(spans) == 3 * MEASURED
    assert all(ended <= began for (_, ended), (began, _) in itertools.pairwise(spans))


def _measuring(user: int) -> Callable[[], str]:
    """A process of this user that measures a few times; what it returns waits for the moments at which it did."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.environ["TMPDIR"] = f"/tmp/of-{user}"
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            for _ in range(MEASURED):
                with locks.device_to_ourselves(lambda: None):
                    began = time.monotonic_ns()
                    time.sleep(0.001)
                    os.write(write, b"%d %d\n" % (began, time.monotonic_ns()))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(write)

    def told() -> str:
        with os.fdopen(read) as file:
            text = file.read()
        assert os.waitpid(child, 0) == (child, 0), f"user {user} could not measure: see stderr"
        return text

    return told


def test_a_folder_is_replaced_in_one_step(tmp_path: Path) -> None:
    make_artifact(tmp_path / "net")
    seen, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append((tmp_path / "net" / "artifact.json").exists())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for i in range(10):
            with folder.staged(tmp_path / "net") as scratch:
                make_artifact(scratch / "made", content=bytes([8, i % 128]))
                for path in (scratch / "made").iterdir():
                    path.rename(scratch / path.name)
                (scratch / "made").rmdir()
    finally:
        done.set()
        looking.join()
    assert seen and all(seen) and [path.name for path in tmp_path.iterdir()] == ["net"]


def test_a_folder_that_a_kill_left_between_two_names_is_put_back(tmp_path: Path) -> None:
    """Where the system cannot exchange two folders in one step."""
    made = make_artifact(tmp_path / "net")
    (tmp_path / "net").rename(tmp_path / f".net{replacing.OLD}")
    replacing.sweep_up(tmp_path)
    assert folder.read(tmp_path / "net") == made


def test_a_result_from_the_future_hides_no_other(tmp_path: Path, in_process: Command) -> None:
    for year in ("2099", "2026"):
        made = make_result(created=f"{year}-01-01T00:00:00.000000+00:00", message=f"of {year}")
        store.save(made, tmp_path / "results")
    done = in_process("report", "--format", "csv", "--workspace", tmp_path)
    assert "of 2026" in done.stdout and "of 2099" not in done.stdout and "dated in the future" in done.stderr


def test_the_umask_holds(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        path = store.save(make_result(), tmp_path)
        with folder.staged(tmp_path / "net") as scratch:
            (scratch / "file").touch()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600 and (tmp_path / "net").stat().st_mode & 0o777 == 0o700


def test_a_report_that_is_killed_anywhere_loses_nothing(tmp_path: Path) -> None:
    """`scripts/kill_everywhere.py` does the same to seven commands."""
    (tmp_path / "runs").mkdir()
    for i in range(3):
        store.save(make_result(threads=i + 1), tmp_path / "runs" / "results")
    command = ["report", "--html", "--workspace", str(tmp_path / "runs")]
    code, count = killing.run(command)
    usual = killing.named(tmp_path)
    assert code == 0 and count > 1
    for nth in range(1, count + 1, 3):
        (tmp_path / "runs" / "results" / ".index").unlink(missing_ok=True)
        assert killing.run(command, nth)[0] == -9
        assert not killing.broken(tmp_path / "runs") and len(store.read_all(tmp_path / "runs" / "results")[0]) == 3
        assert killing.run(command)[0] == 0 and killing.named(tmp_path) == usual


def test_a_seed_beyond_64_bits_is_refused_in_words(in_process: Command, tmp_path: Path) -> None:
    done = in_process("train", "--dataset", "digits", "--seed", 2**64, "--workspace", tmp_path)
    assert done.returncode == 2 and f"--seed is {2**64}" in done.stderr and "Traceback" not in done.stderr
