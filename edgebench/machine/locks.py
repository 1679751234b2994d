"""Locks on open files, and the lock on this machine for measuring. The kernel frees them when the holder is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
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
def unfinished(folder: Path, prefix: str, make: Callable[[], str]) -> Iterator[Path]:
    """What `make` creates in the folder, a file or a folder whose name has this prefix, locked while its process lives.

    What lies there without a lock was left by a process that was killed, and is deleted first. Afterwards, what is left
    of our own is deleted too.
    """
    for left in folder.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # its process may just have finished it
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if taken(handle):
                    _delete(left)
            finally:
                os.close(handle)
    while True:
        path = Path(make())
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            if taken(handle) and path.exists():
                break
            os.close(handle)  # another process took it for one that was left, before it was locked
    try:
        yield path
    finally:
        _delete(path)
        os.close(handle)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
