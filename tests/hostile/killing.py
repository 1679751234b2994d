"""Kills a command at one of its file-changing calls, counted from 1, and looks at what it left.

counted/sitecustomize.py counts the calls, in the command's own process and in every Python that it starts.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from counted import sitecustomize

LIMIT_S = 900  # of a command: pick is given four minutes, and copies its files at each change
ALONE_S = 20.0  # after this long, a process that its killed parent left is one that stays
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def run(arguments: Sequence[str], nth: int = 0, out: Path | None = None) -> tuple[int, int]:
    """Run an edgebench command in a fork of this process and kill it before its nth change; 0 for never. Returns its
    exit code, negative for a signal, and how many changes it and its children made or tried."""
    with tempfile.NamedTemporaryFile(dir=out and out.parent) as counter:
        if (child := os.fork()) == 0:
            _in_child(arguments, f"{nth}:{os.getpid()}:{counter.name}", out)
        hung = threading.Timer(LIMIT_S, os.kill, (child, signal.SIGKILL))
        hung.start()
        ended = os.waitpid(child, 0)[1]
        hung.cancel()
        return os.waitstatus_to_exitcode(ended), os.path.getsize(counter.name)


def _in_child(arguments: Sequence[str], asked: str, out: Path | None) -> None:
    from edgebench.cli import cli

    os.setsid()
    told = os.open(out or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(told, number)
    os.environ.update({sitecustomize.ASKED: asked, "PYTHONPATH": str(Path(sitecustomize.__file__).parent)})
    sitecustomize.count(asked)
    code = 1
    try:
        cli([*arguments], standalone_mode=True)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def adopt_orphans() -> None:
    """From now on, processes that a killed command leaves become children of this one: see `stay`."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def stay() -> list[str]:
    """The processes of a killed command that do not end by themselves, as they should. They are ended then."""
    ends, found = time.monotonic() + ALONE_S, []
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not (children := psutil.Process().children(recursive=True)):
            return found
        if time.monotonic() > ends:
            for child in children:
                with contextlib.suppress(psutil.Error):
                    found.append(" ".join(child.cmdline()))
                    child.kill()
        time.sleep(0.01)


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


def named(*places: Path) -> set[str]:
    """Everything in these folders, by name, without what differs from time to time: dates, hashes and numbers."""
    found = (f"{place.name}/{path.relative_to(place)}" for place in places for path in place.rglob("*"))
    return {re.sub(r"[0-9a-f]{8,}|\d+", "#", name) for name in found}
