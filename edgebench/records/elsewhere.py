"""The folders outside of a workspace in which its commands make files, such as that of --out: a list in the workspace.

What a killed command left beside its --out is found there by the next command of the workspace, whatever its --out is.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records import files

NAME = ".elsewhere"
MOST = 50  # folders; the oldest are forgotten
_root: Path | None = None


def of(root: Path) -> list[Path]:
    """The folders of this workspace; from now on it remembers others in which this process makes files."""
    global _root
    _root = root.absolute()
    return [Path(line) for line in _lines(_root)]


def forget() -> None:
    """Remember no more: the command has ended."""
    global _root
    _root = None


def remember(folder: Path) -> None:
    """Keep the folder in the workspace's list, before anything is made in it."""
    place = str(folder.absolute())
    if _root is None or Path(place).is_relative_to(_root) or not place.isprintable() or not _root.is_dir():
        return
    if place in (lines := _lines(_root)):
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    how = os.O_APPEND if len(lines) < MOST else os.O_TRUNC
    with contextlib.suppress(OSError):  # a workspace that may not be written to
        handle = os.open(_root / NAME, flags | how, 0o666)
        with os.fdopen(handle, "wb", buffering=0) as file:
            file.write("".join(f"{line}\n" for line in [*lines[-MOST // 2 :] * (how == os.O_TRUNC), place]).encode())


def _lines(root: Path) -> list[str]:
    """What is odd in the list is no folder of ours, and passed over."""
    try:
        text = files.content(root / NAME, most=2**20, follow=False).decode()
    except (OSError, BadFile, UnicodeDecodeError):
        return []
    return [line for line in text.splitlines()[: 2 * MOST] if line.startswith("/") and line.isprintable()]
