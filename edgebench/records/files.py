"""Reading files that others may have made: regular ones alone, up to a bound, by names that lead nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from edgebench.errors import BadFile
from edgebench.records.declared import is_plain

MOST_BYTES = 2**28  # of a record; one with a million samples has 30 MB


def opened(path: Path, *, follow: bool = True) -> BinaryIO:
    """The file, open for reading. Raises BadFile for what is no regular file, such as a pipe, which could make us wait
    for ever; and with `follow=False` for a symbolic link. Raises OSError as `open` does."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    handle = os.open(path, flags)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise BadFile(f"{path} is no regular file", "move it away")


def content(path: Path, most: int = MOST_BYTES, *, follow: bool = True) -> bytes:
    """All bytes of a regular file. Raises BadFile if they are more than `most`, and what `opened` raises."""
    with opened(path, follow=follow) as file:
        expected = min(os.fstat(file.fileno()).st_size, most)  # a buffer for `most` would take longer than the reading
        found = file.read(expected + 1)
        if len(found) > expected:  # it grows, or is of a kind that does not tell its size
            found += file.read(most + 1 - len(found))
    if len(found) > most:
        raise BadFile(f"{path} is larger than {most / 2**20:.0f} MiB", "is it the right file?")
    return found


def inside(folder: Path, name: str) -> Path:
    """The path of `name` in the folder. Raises BadFile for a name that would lead out of it: names may come from files
    or from a board."""
    if not is_plain(name):
        raise BadFile(f"{folder}: {name!r} is not the name of a file in it")
    return folder / name
