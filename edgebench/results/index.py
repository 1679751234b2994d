"""The entries that tables need of each result in a folder, cached beside them, so that reading thousands is fast.

The results' JSON files are the truth. The first reading makes the cache, `.index`, and each reading adds to it. An
entry is used while its file is the same by size, times and number: the kernel changes one of these with every edit, and
no copy of a folder has the same. The cache is lines of JSON, each with its digest; anything odd in it, or in its place,
is told and made anew. If it cannot be written, reading works without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import edgebench
from edgebench.errors import BadFile
from edgebench.records import files, replacing
from edgebench.records.collecting import paused
from edgebench.results import rows
from edgebench.results.figures import Row
from edgebench.results.rows import Entry

NAME = ".index"
FIELDS = [field.name for field in dataclasses.fields(Row) if field.name != "file"]
LISTS = {field.name for field in dataclasses.fields(Row) if field.type.startswith("tuple")}  # kept as JSON
TOGETHER = 200  # files a line: a first reading that is stopped keeps what it has read
TICK_S = 0.02  # at most this long the kernel gives two edits of a file the same time
SPARE = 1000  # entries of files that are gone, before the cache is made anew

Stamp = tuple[int, int, int, int]  # what changes when a file does: its size, both times in ns, and its number
Found = Entry | BadFile  # what a file holds, or why it cannot be read


@paused()
def load(folder: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> tuple[list[Entry], list[BadFile]]:
    """An entry for each result in the folder, by name, and an error for every other .json file, and for a cache that
    was damaged.

    `tell(done, of)` is called with the progress while files are read.
    """
    present = _files(folder)
    kept = _Kept(folder)
    known = kept.of(present)
    missing = [name for name in present if name not in known]
    for start in range(0, len(missing), TOGETHER):
        tell(start, len(missing))
        part = {name: _read(folder / name) for name in missing[start : start + TOGETHER]}
        known |= part
        kept.add(present, part, known)
    found = [known[name] for name in sorted(present)]
    problems = [f for f in found if isinstance(f, BadFile)]
    return [f for f in found if isinstance(f, Entry)], [*([kept.problem] if kept.problem else []), *problems]


def _files(folder: Path) -> dict[str, Stamp | None]:
    """Each .json file with its stamp; None for what is not a file, which is never cached."""
    if not folder.is_dir():
        return {}
    found = _stamps(folder)
    newest = max((stamp[2] for stamp in found.values() if stamp), default=0)
    if 0 <= time.time_ns() - newest < TICK_S * 1e9:  # an edit that is still to come might leave the stamp as it is
        time.sleep(TICK_S)
        found = _stamps(folder)
    return found


def _stamps(folder: Path) -> dict[str, Stamp | None]:
    found: dict[str, Stamp | None] = {}
    with os.scandir(folder) as inside:
        for item in inside:
            if item.name.endswith(".json"):
                found[item.name] = None
                with contextlib.suppress(OSError):  # a broken link: reading it will say so
                    state = item.stat()
                    if item.is_file():
                        found[item.name] = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    return found


def _read(path: Path) -> Found:
    from edgebench.results import store  # with all records: a cache that is complete does without them

    try:
        return store.entry(path)
    except BadFile as error:
        return error


class _Kept:
    """The cache of a folder. `problem`: what was wrong with it, if it is to be made anew for that."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / NAME
        self.problem: BadFile | None = None
        self._whole = False  # what is there can be added to
        self._header = f"edgebench index {_made_by():07x}".encode()

    def of(self, present: dict[str, Stamp | None]) -> dict[str, Found]:
        """The cached entries of files that have not changed since."""
        if not present:
            return {}
        try:
            header, *lines, rest = files.content(self._path, follow=False).split(b"\n")
        except FileNotFoundError:
            return {}
        except ValueError:  # no line at all
            header, lines, rest = b"", [], b""
        except (OSError, BadFile):
            return self._odd()
        if header.startswith(b"edgebench index ") and header != self._header:
            return {}  # another edgebench's
        try:
            if header != self._header:
                return self._odd()
            found: dict[str, Found] = {}
            count = 0
            for line in lines:
                for name, stamp, kept in self._entries(_checked(line)):
                    count += 1
                    if (now := present.get(name)) is not None and list(now) == stamp:
                        found[name] = kept
                    else:
                        found.pop(name, None)
        except (ValueError, TypeError, KeyError, RecursionError):
            return self._odd()
        self._whole = not rest and count <= 2 * len(found) + SPARE  # else a process was killed while it wrote
        return found

    def add(self, present: dict[str, Stamp | None], part: dict[str, Found], known: dict[str, Found]) -> None:
        """Keep what was read of these files."""
        with contextlib.suppress(OSError):  # a folder that we cannot write to: it is read again next time
            if self._whole:
                handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
                with os.fdopen(handle, "ab", buffering=0) as file:
                    file.write(self._line(present, part))
            else:
                names = list(known)
                blocks = [
                    {name: known[name] for name in names[i : i + TOGETHER]} for i in range(0, len(names), TOGETHER)
                ]
                with replacing.rewritten(self._path) as file:
                    file.write(self._header + b"\n" + b"".join(self._line(present, block) for block in blocks))
                self._whole = True

    def _odd(self) -> dict[str, Found]:
        self.problem = BadFile(f"{self._path}, a cache that was damaged: it is made anew")
        return {}

    def _line(self, present: dict[str, Stamp | None], part: dict[str, Found]) -> bytes:
        kept = {name: found for name, found in part.items() if present[name]}
        refused = [  # the message begins with the path, which may differ next time
            (name, present[name], found.message.removeprefix(str(self._folder / name)), found.fix)
            for name, found in kept.items()
            if isinstance(found, BadFile)
        ]
        entries = {name: found for name, found in kept.items() if isinstance(found, Entry)}
        heads = [(name, present[name], each.cell, each.deployed, each.timed) for name, each in entries.items()]
        columns = [_column(name, [found.row for found in entries.values()]) for name in FIELDS]
        text = json.dumps([refused, heads, columns], separators=(",", ":"), allow_nan=False).encode()
        return _digest(text) + b" " + text + b"\n"

    def _entries(self, block: list[Any]) -> Iterator[tuple[str, list[int], Found]]:
        """The name, the stamp, and what is kept of each file in a line."""
        refused, heads, columns = block
        for name, stamp, message, fix in refused:
            yield name, stamp, BadFile(f"{self._folder / name}{message}", fix)
        told = dict(zip(FIELDS, columns, strict=True))
        told |= {name: [_list(text) for text in told[name]] for name in LISTS}
        first = {name: values[0] for name, values in told.items() if values}
        others = {name: values for name, values in told.items() if len(values) > 1}
        for (name, stamp, cell, deployed, timed), *values in zip(heads, *others.values(), strict=True):
            row = first | {"file": name}
            row.update(zip(others, values, strict=True))
            yield name, stamp, Entry(rows.of_columns(row), cell, deployed, timed)


def _column(name: str, rows: list[Row]) -> list[Any]:
    """A column of these rows; where all have the same in it, that once: most columns of a folder hold few values."""
    values = [getattr(row, name) for row in rows]
    if name in LISTS:
        values = [json.dumps(value) for value in values]
    return values[:1] if len(set(map(repr, values))) == 1 else values


def _checked(line: bytes) -> list[Any]:
    """The entries in a line. Raises ValueError if it is not as it was written."""
    digest, _, text = line.partition(b" ")
    if _digest(text) != digest:
        raise ValueError
    return json.loads(text)


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).hexdigest().encode()


@cache  # most rows have the same few
def _list(text: str) -> tuple[Any, ...]:
    return tuple(tuple(item) if isinstance(item, list) else item for item in json.loads(text))


def _made_by() -> int:
    """A number that changes with all code that a row may depend on: 28 bits of a hash.

    It covers the whole package and the plug-ins that bring scenarios, which takes some 10 ms to read. So nobody has to
    remember to raise a version or to list what a row calls.
    """
    told = "\n".join([edgebench.__version__, _package(), *_plugins()])
    return int(hashlib.sha256(told.encode()).hexdigest()[:7], 16)


@cache  # code that is edited meanwhile is not what this process runs
def _package() -> str:
    whole = hashlib.sha256()
    for path in _code(os.path.dirname(edgebench.__file__)):
        with open(path, "rb", buffering=0) as file:
            content = file.read()
        whole.update(b"%d\n%b" % (len(content), content))
    return whole.hexdigest()


def _code(folder: str) -> Iterator[str]:
    with os.scandir(folder) as inside:
        for item in sorted(inside, key=lambda item: item.name):
            if item.name.endswith(".py"):
                yield item.path
            elif item.name != "__pycache__" and item.is_dir():
                yield from _code(item.path)


def _plugins() -> list[str]:
    """Names and versions of the installed packages that bring a scenario, from the folders of their metadata.

    `importlib.metadata` would give the same, but takes ten times as long.
    """
    found = set()
    for folder in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError), os.scandir(folder or ".") as inside:
            for name in [item.name for item in inside if item.name.endswith(".dist-info")]:
                with contextlib.suppress(OSError), open(f"{folder or '.'}/{name}/entry_points.txt", "rb") as file:
                    if b"[edgebench.scenarios]" in file.read():
                        found.add(name)
    return sorted(found)
