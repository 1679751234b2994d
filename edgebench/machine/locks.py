"""Locks on open files, and the lock on this machine for measuring. The kernel frees them when the holder is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def taken(file: Any, *, shared: bool = False) -> bool:
    """Lock an open file, or its descriptor, alone or shared with others. False if another process holds the lock.

    The lock belongs to the open file: a process that inherits it holds the lock too, until the last of them is gone.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def device_to_ourselves(on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the machine's measuring lock, waiting for it: two measurements at once would slow each other."""
    with _measuring_lock() as handle:
        if not taken(handle):
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def machine_shared() -> Iterator[bool]:
    """Keep measurements away while this machine trains. Gives False, and holds nothing, while one is under way."""
    with _measuring_lock() as handle:
        yield taken(handle, shared=True)


@contextlib.contextmanager
def _measuring_lock() -> Iterator[int]:
    path = Path(tempfile.gettempdir(), "edgebench-measuring.lock")
    try:  # reading is enough for flock, so another user's lock file serves as well
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)
