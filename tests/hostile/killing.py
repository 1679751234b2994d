"""Kills a command at one of its file-changing calls, counted from 1, and looks at what it left.

An audit hook counts: Python tells it of every file that is opened for writing, moved, removed or made. Each call is one
moment at which a power cut, the kernel or an impatient user may end the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


def changes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether this event of Python's audit changes a file."""
    if event == "open":
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
    return event in CHANGES or (event == "ctypes.dlsym" and arguments[1] == "renameat2")


def run(arguments: Sequence[str], nth: int = 0, out: Path | None = None) -> tuple[int, int]:
    """Run an edgebench command in a fork of this process and kill it before its nth change; 0 for never. Returns its
    exit code, negative for a signal, and how many changes it made or tried."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        _in_child(arguments, nth, write, out)
    os.close(write)
    hung = threading.Timer(300, os.kill, (child, signal.SIGKILL))
    hung.start()
    with os.fdopen(read, "rb") as told:
        count = len(told.read())
    ended = os.waitpid(child, 0)[1]
    hung.cancel()
    return os.waitstatus_to_exitcode(ended), count


def _in_child(arguments: Sequence[str], nth: int, write: int, out: Path | None) -> None:
    from edgebench.cli import cli

    os.setsid()
    told = os.open(out or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(told, number)
    seen, ours = 0, os.getpid()

    def hook(event: str, given: tuple[Any, ...]) -> None:
        nonlocal seen
        if os.getpid() == ours and changes(event, given):
            seen += 1
            os.write(write, b".")
            if seen == nth:
                os.kill(ours, signal.SIGKILL)

    sys.addaudithook(hook)
    code = 1
    try:
        cli([*arguments], standalone_mode=True)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def broken(root: Path) -> list[str]:
    """What cannot be read in a workspace: artifacts, checkpoints, results, and every other record."""
    from edgebench import artifact
    from edgebench.errors import EdgebenchError
    from edgebench.results import store

    said = []
    checks: list[tuple[str, Callable[[Path], object]]] = [
        ("checkpoints/[!.]*", artifact.read), ("artifacts/[!.]*", artifact.read), ("results/[!.]*.json", store.read),
    ]  # fmt: skip
    for pattern, read in checks:
        for path in root.glob(pattern):
            try:
                read(path)
            except EdgebenchError as error:
                said.append(error.message)
    return said


def left(*places: Path) -> list[str]:
    """What is not finished and belongs to nobody."""
    from edgebench.records.replacing import OLD, PARTIAL

    return sorted(str(path) for place in places for path in place.rglob(".*") if path.name.endswith((OLD, PARTIAL)))
