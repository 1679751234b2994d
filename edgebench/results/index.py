"""The entries that tables need of each result in a folder, cached beside them, so that reading thousands is fast.

The results' JSON files are the truth. The first reading makes the cache, `.index.sqlite`, and each reading updates it.
A cache that is damaged or of another edgebench is thrown away. If it cannot be written, reading works without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import edgebench
from edgebench.errors import BadFile
from edgebench.records import digests
from edgebench.results import rows, store
from edgebench.results.figures import Row
from edgebench.results.rows import Entry
from edgebench.specs import SCHEMA

NAME = ".index.sqlite"
FIELDS = [field.name for field in dataclasses.fields(Row)]
LISTS = [i for i, field in enumerate(dataclasses.fields(Row)) if field.type.startswith("tuple")]  # kept as JSON
FLAGS = [i for i, field in enumerate(dataclasses.fields(Row)) if field.type == "bool"]
# Without types, so that sqlite returns values as they were given. `problem` says why a file cannot be read.
COLUMNS = ["name", "size", "time", "problem", "fix", "cell", "deployed", *(f"row_{name}" for name in FIELDS)]
TABLE = f"CREATE TABLE entries ({', '.join(COLUMNS)}, PRIMARY KEY (name))"
WAIT_S = 5.0  # while another process is writing
TOGETHER = 200  # files per transaction: a first reading that is stopped keeps what it has read

# A file: what shows whether it was changed, and what it holds or why it cannot be read.
Found = "Entry | BadFile"


def load(folder: Path, tell: Callable[[int, int], None] = lambda done, of: None) -> tuple[list[Entry], list[BadFile]]:
    """An entry for each result in the folder, by name, and an error for every other .json file.

    `tell(done, of)` is called with the progress while files are read.
    """
    files = _files(folder)
    with _opened(folder) as cache:
        known = _kept(cache, folder, files)
        missing = [name for name in files if name not in known]
        for start in range(0, len(missing), TOGETHER):
            tell(start, len(missing))
            part = {name: _read(folder / name) for name in missing[start : start + TOGETHER]}
            _keep(cache, folder, files, part)
            known |= part
        _forget(cache, files)
    found = [known[name] for name in sorted(files)]
    return [f for f in found if isinstance(f, Entry)], [f for f in found if isinstance(f, BadFile)]


def _files(folder: Path) -> dict[str, tuple[int, int] | None]:
    """Each .json file with its size and modification time in ns; None for what is not a file, which is never cached."""
    if not folder.is_dir():
        return {}
    found: dict[str, tuple[int, int] | None] = {}
    with os.scandir(folder) as inside:
        for item in inside:
            if item.name.endswith(".json"):
                found[item.name] = None
                with contextlib.suppress(OSError):  # a broken link: reading it will say so
                    state = item.stat()
                    found[item.name] = (state.st_size, state.st_mtime_ns) if item.is_file() else None
    return found


def _read(path: Path) -> Found:
    try:
        entry = rows.entry(store.read(path, samples=False))
    except BadFile as error:
        return error
    return dataclasses.replace(entry, row=dataclasses.replace(entry.row, file=path.name))


def _made_by() -> int:
    """A number that changes with all code that a row may depend on: 28 bits of a hash.

    It covers the whole package and the plug-ins that bring scenarios, which takes some 10 ms to read. So nobody has to
    remember to raise a version or to list what a row calls.
    """
    code = [digests.of_bytes(path.read_bytes()) for path in _code(Path(edgebench.__file__).parent)]
    return int(digests.of_data([edgebench.__version__, SCHEMA, code, _plugins()])[:7], 16)


def _code(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as inside:
        for item in sorted(inside, key=lambda item: item.name):
            if item.name.endswith(".py"):
                yield Path(item.path)
            elif item.name != "__pycache__" and item.is_dir():
                yield from _code(Path(item.path))


def _plugins() -> list[str]:
    """Names and versions of the installed packages that bring a scenario, from the folders of their metadata.

    `importlib.metadata` would give the same, but takes ten times as long.
    """
    found = (file for folder in dict.fromkeys(sys.path) for file in Path(folder).glob("*.dist-info/entry_points.txt"))
    return sorted({file.parent.name for file in found if b"[edgebench.scenarios]" in file.read_bytes()})


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection | None]:
    """The cache. A damaged one or one of another edgebench is emptied; None if there can be none."""
    cache = None
    if folder.is_dir():
        for _ in range(2):
            try:
                cache = sqlite3.connect(folder / NAME, timeout=WAIT_S)
                (made_by,) = cache.execute("PRAGMA user_version").fetchone()
                if made_by != (ours := _made_by()):
                    with cache:
                        cache.execute("DROP TABLE IF EXISTS entries")
                        cache.execute(TABLE)
                        cache.execute(f"PRAGMA user_version = {ours}")
                break
            except sqlite3.OperationalError:  # locked for long, or a folder that cannot be written to
                cache = None
                break
            except sqlite3.DatabaseError:
                cache = None
                (folder / NAME).unlink(missing_ok=True)
    try:
        yield cache
    finally:
        if cache is not None:
            cache.close()


def _kept(cache: sqlite3.Connection | None, folder: Path, files: dict[str, tuple[int, int] | None]) -> dict[str, Found]:
    """The cached entries of files that have not changed since."""
    if cache is None:
        return {}
    found: dict[str, Found] = {}
    collecting = gc.isenabled()
    gc.disable()  # it would scan every object that is made here, again and again
    try:
        for name, size, time, *kept in cache.execute(f"SELECT {', '.join(COLUMNS)} FROM entries"):
            if files.get(name) == (size, time):
                problem, fix, cell, deployed, *values = kept
                if problem is None:
                    found[name] = Entry(row=_row(values), cell=cell, deployed=deployed)
                else:
                    found[name] = BadFile(f"{folder / name}{problem}", fix)
    except sqlite3.DatabaseError:  # a damaged entry is read from its file
        return found
    finally:
        if collecting:
            gc.enable()
    return found


def _keep(cache: sqlite3.Connection | None, folder: Path, files: dict[str, Any], part: dict[str, Found]) -> None:
    if cache is None:
        return
    lines = [
        (name, *files[name], *_columns(found, folder / name)) for name, found in part.items() if files[name] is not None
    ]
    with contextlib.suppress(sqlite3.Error), cache:  # another process is writing: read it again next time
        cache.executemany(f"INSERT OR REPLACE INTO entries VALUES ({', '.join('?' * len(COLUMNS))})", lines)


def _columns(found: Found, path: Path) -> list[Any]:
    if isinstance(found, BadFile):  # its message begins with the path, which may differ next time
        return [found.message.removeprefix(str(path)), found.fix, None, None, *[None] * len(FIELDS)]
    values = [getattr(found.row, name) for name in FIELDS]
    for i in LISTS:
        values[i] = json.dumps(values[i])
    return [None, None, found.cell, found.deployed, *values]


def _row(values: list[Any]) -> Row:
    for i in LISTS:
        values[i] = _list(values[i])
    for i in FLAGS:
        values[i] = bool(values[i])  # sqlite stores 0 and 1
    made = object.__new__(Row)  # thousands at once, for which the constructor takes three times as long
    vars(made).update(zip(FIELDS, values, strict=True))
    return made


@cache  # most rows have the same few
def _list(text: str) -> tuple[Any, ...]:
    return tuple(tuple(item) if isinstance(item, list) else item for item in json.loads(text))


def _forget(cache: sqlite3.Connection | None, files: dict[str, Any]) -> None:
    """Drop the entries of files that no longer exist."""
    if cache is None:
        return
    with contextlib.suppress(sqlite3.Error), cache:
        gone = [(name,) for (name,) in cache.execute("SELECT name FROM entries") if name not in files]
        cache.executemany("DELETE FROM entries WHERE name = ?", gone)
