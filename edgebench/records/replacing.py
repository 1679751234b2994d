"""Files and folders that replace others in one step; and what a killed process leaves behind, which the next removes.

What is not finished has a hidden name that ends in PARTIAL, and its process holds a lock on it. The kernel frees the
lock however the process ends, so an unlocked one belongs to nobody. The name has that of the machine in it: several may
share a workspace, and a lock is seen on its own machine alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from edgebench.records import elsewhere

_MACHINE = hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()
PARTIAL, OLD = f".{_MACHINE}.edgebench.partial", f".{_MACHINE}.edgebench.replaced"
RENAME_EXCHANGE = 2  # linux/fs.h
AT_FDCWD = -100
_swept: set[Path] = set()  # where this process writes files


def taken(file: Any, *, shared: bool = False) -> bool:
    """Lock an open file, or its descriptor, alone or shared with others. False if another process holds the lock.

    The lock belongs to the open file: a process that inherits it holds the lock too, until the last of them is gone.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ours(handle: int) -> bool:
    """Whether no other process holds it; where the file system has no locks, nobody can."""
    try:
        return taken(handle)
    except OSError:
        return True


@contextlib.contextmanager
def unfinished(folder: Path, prefix: str, make: Callable[[], str]) -> Iterator[Path]:
    """What `make` creates in the folder, a file or a folder whose name has this prefix, locked while its process lives.

    What lies there without a lock was left by a process that was killed, and is deleted first. Afterwards, what is left
    of our own is deleted too.
    """
    for left in folder.glob(f"{prefix}*"):
        _delete_if_left(left)
    while True:
        path = Path(make())
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY)
            if _ours(handle) and path.exists():
                break
            os.close(handle)  # another process took it for one that was left, before it was locked
    try:
        yield path
    finally:
        _delete(path)
        os.close(handle)


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A scratch folder beside `out`. It replaces `out` when the block succeeds, and vanishes if it fails."""
    _remember(out.parent)
    sweep_up(out.parent)

    def make() -> str:
        made = out.parent / f".{out.name}.{secrets.token_hex(4)}{PARTIAL}"
        made.mkdir()
        return str(made)

    with unfinished(out.parent, f".{out.name}.{secrets.token_hex(8)}", make) as scratch:
        yield scratch
        _replace(scratch, out)


def _remember(folder: Path) -> None:
    """For the next command of this workspace. What lies in an unfinished folder is removed with that."""
    if not any(part.endswith(PARTIAL) for part in folder.absolute().parts):
        elsewhere.remember(folder)


def check_writable(folder: Path) -> None:
    """Raise the OSError now if nothing can be made in a folder. What a kill leaves of it, the next command removes."""
    _remember(folder)
    tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=PARTIAL).cleanup()


def temporary() -> Path:
    """The folder of temporary files. Python finds the same one, but it tries the folder with a file of any name first,
    which a kill may leave there."""
    if tempfile.tempdir is None:
        asked = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
        for folder in (*asked, "/tmp"):
            if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
                tempfile.tempdir = os.path.abspath(folder)
                break
    return Path(tempfile.gettempdir())


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder. One that a killed process left is removed by the next that needs one."""
    place = temporary()
    sweep_up(place)

    def make() -> str:
        return tempfile.mkdtemp(dir=place, prefix=".edgebench-", suffix=PARTIAL)

    with unfinished(place, f".{secrets.token_hex(8)}", make) as made:
        yield made


def _replace(scratch: Path, out: Path) -> None:
    """Put the folder in the place of the other, which may not exist, in one step where the system has such a one."""
    if not out.exists():
        scratch.rename(out)
    elif not _exchanged(scratch, out):
        old = out.with_name(f".{out.name}{OLD}")
        handle = os.open(out, os.O_RDONLY)
        try:
            _ours(handle)  # between the two steps nobody puts it back
            out.rename(old)
            scratch.rename(out)
            _delete(old)
        finally:
            os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the system could swap the two in one step."""
    import ctypes

    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    return bool(swap) and swap(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0


@contextlib.contextmanager
def rewritten(path: Path) -> Iterator[BinaryIO]:
    """An open file that takes the place of `path` when the block succeeds: a reader sees the old one or the new one.

    It is flushed to disk before, and has the permissions that the user's umask gives a new file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if (place := path.parent.absolute()) not in _swept:  # it may hold ten thousand results
        _swept.add(place)
        _remember(place)
        sweep_up(place)
    while True:
        partial = path.parent / f".{path.name[:150]}.{secrets.token_hex(4)}{PARTIAL}"
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        if _ours(handle) and partial.exists():
            break
        os.close(handle)  # another process took it for one that was left, before it was locked
    try:
        with open(str(partial), "r+b", opener=lambda name, flags: handle) as file:  # so that it knows its name
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def shared_as_its_folder(path: Path) -> None:
    """Let those read the file who may read its folder; some libraries write files for their owner alone."""
    path.chmod(0o600 | (path.parent.stat().st_mode & 0o044))


def sweep_up(*folders: Path) -> None:
    """Remove what killed processes left unfinished in these folders, and put back what one was replacing."""
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as inside:
            names = [entry.name for entry in inside if entry.name.startswith(".")]
            for name in names:
                if name.endswith(OLD):
                    _put_back(folder / name, folder / name[1 : -len(OLD)])
                elif name.endswith(PARTIAL):
                    _delete_if_left(folder / name)


def _put_back(old: Path, out: Path) -> None:
    with _locked(old) as ours:
        if ours and not out.exists():
            old.rename(out)
        elif ours:
            _delete(old)


def _delete_if_left(path: Path) -> None:
    with _locked(path) as ours:
        if ours:
            _delete(path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether nobody holds a lock on it, or could."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # its process may just have finished it; a link is none of ours
        yield False
        return
    try:
        ours = False
        with contextlib.suppress(OSError):  # a file system without locks, where nobody knows
            ours = taken(handle)
        yield ours
    finally:
        os.close(handle)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
