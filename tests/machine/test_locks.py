"""Locks: one holder or several who share, and nothing held once the file is closed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edgebench.machine import locks


def test_a_lock_is_held_alone_or_shared_until_the_file_is_closed(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open() as one, (tmp_path / "lock").open() as other:
        assert locks.taken(one, shared=True) and locks.taken(other, shared=True)
        assert not locks.taken(one)
        other.close()
        assert locks.taken(one)
        with (tmp_path / "lock").open() as third:
            assert not locks.taken(third, shared=True)
    with (tmp_path / "lock").open() as one:
        assert locks.taken(one.fileno())


def test_trainings_share_the_machine_and_a_measurement_keeps_them_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with locks.machine_shared() as one, locks.machine_shared() as other:
        assert one and other
    with locks.device_to_ourselves(lambda: pytest.fail("nobody holds it")), locks.machine_shared() as shared:
        assert not shared and locks.busy()
    assert not locks.busy()


def test_who_waits_is_told_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locks.PLACE, str(tmp_path))
    code = (
        "import sys\nfrom edgebench.machine import locks\n"
        "with locks.device_to_ourselves(lambda: None):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, "edgebench", "run", "net.onnx"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        said = locks.waiting()
        holder.stdin.close()
    told = f" (process {holder.pid}: edgebench run net.onnx)"
    assert said == locks.WAITING + told or not Path("/proc/locks").is_file()
    assert locks.waiting() == locks.WAITING


def test_a_holder_that_the_kernel_does_not_tell_has_no_name(tmp_path: Path) -> None:
    for process, words in (("7", b"/usr/bin/vi\0notes\0"), ("8", b"/v/bin/python\0-m\0edgebench\0")):
        (tmp_path / process).mkdir()
        (tmp_path / process / "cmdline").write_bytes(words)
    assert locks._holders({5}, tmp_path) == [] and locks._command(9, tmp_path) == locks._command(7, tmp_path) == ""
    assert locks._command(8, tmp_path) == "process 8: edgebench"
    lines = (
        "1: FLOCK  ADVISORY  WRITE 8 fe:00:5 0 EOF", "1: -> FLOCK  ADVISORY  WRITE 9 fe:00:5 0 EOF",
        "2: FLOCK  ADVISORY  WRITE 7 fe:00:6 0 EOF", "3: POSIX  ADVISORY  READ 6 fe:00:5 0 EOF",
        "4: FLOCK  ADVISORY  WRITE -1 fe:00:5 0 EOF", "",
    )  # fmt: skip
    (tmp_path / "locks").write_text("\n".join(lines))
    assert locks._holders({5}, tmp_path) == [8]
