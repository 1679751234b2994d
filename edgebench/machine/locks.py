"""The lock on this machine for measuring, which all its users share. The kernel frees it when the holder is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from edgebench.errors import EdgebenchError
from edgebench.records.replacing import taken

NAME = "edgebench-measuring.lock"
# Every user can write to these, wherever TMPDIR points. Both are held: a service may have a /tmp of its own.
PLACES = (Path("/dev/shm"), Path("/tmp"))
WAITING = "waiting: another edgebench is measuring on this machine"
PLACE = "EDGEBENCH_LOCKS"  # an environment variable with another folder: tests measure beside each other


@contextlib.contextmanager
def device_to_ourselves(on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the machine's measuring lock, waiting for it: two measurements at once would slow each other.

    `on_wait` is called if there is something to wait for; `waiting` says for whom.
    """
    with _measuring_locks() as handles:
        for handle in handles:
            if not taken(handle):
                on_wait()
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def machine_shared() -> Iterator[bool]:
    """Keep measurements away while this machine trains. Gives False, and holds nothing, while one is under way."""
    with _measuring_locks() as handles:
        ours = all(taken(handle, shared=True) for handle in handles)
        if not ours:
            for handle in handles:
                fcntl.flock(handle, fcntl.LOCK_UN)
        yield ours


def waiting() -> str:
    """The sentence of who waits for the lock: it begins with WAITING, and names the holder if the kernel tells it."""
    with _measuring_locks() as handles:
        files = {os.fstat(handle).st_ino for handle in handles}
    holders = [holder for holder in map(_command, _holders(files)) if holder]
    return f"{WAITING} ({holders[0]})" if holders else WAITING


def busy() -> bool:
    """Whether another edgebench measures on this machine now."""
    with machine_shared() as ours:
        return not ours


def _holders(files: set[int], proc: Path = Path("/proc")) -> list[int]:
    """The processes that hold a lock on files of these numbers."""
    try:
        lines = [line.split() for line in (proc / "locks").read_text().splitlines()]
    except OSError:
        return []
    held = [
        line for line in lines if len(line) > 5 and line[1] == "FLOCK" and line[4].isdecimal()
    ]  # "->" is one who waits
    return [int(line[4]) for line in held if int(line[5].rpartition(":")[2]) in files]


def _command(process: int, proc: Path = Path("/proc")) -> str:
    """What an edgebench does, as words: its process and command; "" for another program."""
    try:
        words = (proc / str(process) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    at = next((i for i, word in enumerate(words) if word.endswith("edgebench") or word.startswith("edgebench.")), None)
    if at is None:
        return ""
    told = " ".join(" ".join(words[at + 1 :]).split())  # a line break would end the phase that is told
    return f"process {process}: edgebench {told[:60]}".rstrip(": ")


@contextlib.contextmanager
def _measuring_locks() -> Iterator[list[int]]:
    """The open files to lock, always in the same order. Raises EdgebenchError if none can be had."""
    own = os.environ.get(PLACE)
    with contextlib.ExitStack() as open_files:
        handles, faults = [], []
        for place in [Path(own)] if own else PLACES:
            try:
                handles.append(_opened(place / NAME))
                open_files.callback(os.close, handles[-1])
            except OSError as error:
                faults.append(f"{place / NAME}: {error.strerror}")
        if not handles:
            raise EdgebenchError(f"there is no lock for measuring: {'; '.join(faults)}", "remove what is there")
        yield handles


def _opened(path: Path) -> int:
    """Reading is enough to lock it, so another user's file serves as well. Raises OSError for what is no file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        try:
            handle = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
            os.fchmod(handle, 0o644)  # whatever the umask: others have to be able to read it
        except FileExistsError:  # another process was faster
            handle = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no regular file")
    return handle
