"""Locks: one holder or several who share, and nothing held once the file is closed."""

from __future__ import annotations

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
        assert not shared
