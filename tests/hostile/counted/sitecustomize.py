"""Loaded by every Python that a killed command starts: counts the changes of files, and kills the command at one.

An audit hook counts: Python tells it of every file that is opened for writing, moved, removed or made. Each call is one
moment at which a power cut, the kernel or an impatient user may end the process. All processes of a command count
together, in a file that grows by a byte a change.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from typing import Any

ASKED = "EDGEBENCH_KILLED_AT"  # the number of the change, the process to kill, the file that counts
COPIED = "EDGEBENCH_COPIED"  # folders to copy at each change, and the folder for the copies; with colons
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.mkfifo"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def changes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether this event of Python's audit changes a file."""
    if event == "open":
        path, _, flags = arguments
        return isinstance(flags, int) and bool(flags & WRITING) and str(path) != os.devnull
    return event in CHANGES or (event == "ctypes.dlsym" and arguments[1] == "renameat2")


def count(asked: str) -> None:
    """Count in this process from now on."""
    nth, command, file = asked.split(":", 2)
    counter, copying = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), False
    *copied, copies = os.environ.get(COPIED, "").split(":")

    def hook(event: str, given: tuple[Any, ...]) -> None:
        nonlocal copying
        if changes(event, given) and not copying:
            os.write(counter, b".")
            number = os.lseek(counter, 0, os.SEEK_CUR)
            if copied:
                copying = True
                for folder in copied:
                    with contextlib.suppress(OSError, shutil.Error):  # another process may be changing it
                        shutil.copytree(folder, f"{copies}/{number}/{os.path.basename(folder)}", symlinks=True)
                copying = False
            if number == int(nth):
                os.kill(int(command), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


if asked := os.environ.get(ASKED):
    count(asked)
