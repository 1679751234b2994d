"""Scans picture files: the facts of each, found by processes of their own and kept in a cache."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import queue
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.children import ENVIRONMENT
from edgebench.training.data import looking
from edgebench.training.data.decoding import File, cache_folder, discard_abandoned, unfinished
from edgebench.training.data.looking import FACTS, THUMBS

VERSION = 3  # of what is found: another number scans again
AT_ONCE = 64  # files that a process is asked for together
KEPT = 3  # scans of one folder that the cache keeps, as when it is read with and without a file of labels
PROGRAM = ("-m", looking.__name__)
DAMAGED = (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile)  # what a spoiled cache file raises
CRASHED = "the library that decodes it crashed"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What was found in files: FACTS (n,) in their order, and by row why a file is broken.

    `path`: the cache file, in which the thumbnails are too.
    """

    facts: np.ndarray
    reasons: dict[int, str]
    path: Path

    def thumbs(self) -> np.ndarray:
        """THUMBS (n,), read from the cache."""
        return members(self.path, "thumbs")[0]


def scan(
    root: Path, files: Sequence[File], on_progress: Callable[[int, int], None] = lambda done, total: None, *,
    near: bool = True,
) -> Scan:  # fmt: skip
    """The facts of files in the folder `root`; those that an earlier scan saw, and that have not changed, are not read.

    The cache knows a file by name, size and time of change. It is written whole or not at all, and a damaged one is
    made anew. `on_progress(done, total)` counts the files that are read. Without `near`, what near copies are found by
    is left out, unless an earlier scan has it.
    """
    listed = _digest(*map(_line, files))
    places = [folder() / _digest(_library(), kind, os.fsencode(root.resolve())) for kind in (b"near", b"same")]
    places = places[:1] if near else places
    for path in (place.with_name(f"{place.name}-{listed}.npz") for place in places):
        with contextlib.suppress(*DAMAGED):
            facts, reasons = members(path, "facts", "reasons")
            if facts.dtype == FACTS and len(facts) == len(files):
                os.utime(path)  # the newest ones are kept
                return Scan(facts=facts, reasons=_reasons(reasons), path=path)
    keys = np.array([_key(file) for file in files], "S32")
    facts, thumbs = np.zeros(len(files), FACTS), np.zeros(len(files), THUMBS)
    reasons = {}
    new = np.ones(len(files), bool)
    for earlier in (each for place in places for each in _earlier(place)):
        new &= ~_taken_over(earlier, keys, new, facts, thumbs, reasons)
    rows = np.flatnonzero(new)
    paths = [root / files[row].name for row in rows]
    found = looked_at(paths, lambda done: on_progress(done, len(rows)), near=near)
    facts[rows], thumbs[rows] = found[0], found[1]
    reasons |= {int(rows[row]): reason for row, reason in found[2].items()}
    told = np.frombuffer(json.dumps(reasons).encode(), np.uint8)
    write(path, facts=facts, thumbs=thumbs, keys=keys, reasons=told)
    for old in _earlier(places[-1])[KEPT:]:
        for each in path.parent.glob(f"{old.stem}.*"):  # what was made of it too
            each.unlink(missing_ok=True)
    return Scan(facts=facts, reasons=reasons, path=path)


def folder() -> Path:
    """Where scans are kept: scanned/ beside the decoded images."""
    return cache_folder().with_name("scanned")


def _library() -> bytes:
    """What decides the facts of a file beside its content."""
    import PIL

    try:
        return f"{VERSION} {PIL.__version__} {importlib.metadata.version('imagehash')}".encode()
    except importlib.metadata.PackageNotFoundError:
        raise Unsupported(
            "pictures are compared by imagehash, which is not installed", "pip install 'edgebench[train]'"
        ) from None


def _line(file: File) -> bytes:
    return os.fsencode(f"{file.name}\0{file.size_bytes}\0{file.mtime_ns}\n")


def _digest(*parts: bytes) -> str:
    return hashlib.blake2b(b"".join(parts), digest_size=12).hexdigest()


def _key(file: File) -> bytes:
    return hashlib.blake2b(_line(file), digest_size=16).hexdigest().encode()


def _earlier(place: Path) -> list[Path]:
    """The cache's scans of a folder, the newest first."""
    return sorted(place.parent.glob(f"{place.name}-*.npz"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def members(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of a cache file, whose checksums are checked."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
        return [found[name] for name in names]


def _reasons(stored: np.ndarray) -> dict[int, str]:
    return {int(row): str(reason) for row, reason in json.loads(stored.tobytes()).items()}


def _taken_over(
    path: Path, keys: np.ndarray, wanted: np.ndarray, facts: np.ndarray, thumbs: np.ndarray, reasons: dict[int, str]
) -> np.ndarray:
    """Fill in the wanted rows that an earlier scan has. Returns which they are, bool (n,)."""
    taken = np.zeros(len(keys), bool)
    try:
        their_keys, their_facts, their_thumbs, stored = members(path, "keys", "facts", "thumbs", "reasons")
        theirs = _reasons(stored)
        if their_facts.dtype != FACTS or their_thumbs.dtype != np.uint8:
            return taken
    except DAMAGED:
        return taken
    if not len(their_keys):
        return taken
    order = np.argsort(their_keys)
    at = np.searchsorted(their_keys, keys, sorter=order)
    at[at == len(order)] = 0
    source = order[at]
    taken = wanted & (their_keys[source] == keys)
    facts[taken], thumbs[taken] = their_facts[source[taken]], their_thumbs[source[taken]]
    back = {int(theirs_row): row for row, theirs_row in enumerate(source.tolist()) if taken[row]}
    reasons |= {back[row]: reason for row, reason in theirs.items() if row in back}
    return taken


def write(path: Path, **arrays: np.ndarray) -> None:
    """Write a cache file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    discard_abandoned(path.parent)
    handle, partial = unfinished(path)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.replace(partial, path)  # while the file is open, so that nobody takes it for an abandoned one
    finally:
        Path(partial).unlink(missing_ok=True)


def looked_at(
    paths: Sequence[Path],
    on_progress: Callable[[int], None] = lambda done: None,
    *,
    exact: bool = False,
    near: bool = True,
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """looking.look in as many processes as this one may use cores."""
    facts, thumbs, reasons = np.zeros(len(paths), FACTS), np.zeros(len(paths), THUMBS), {}
    chunks: queue.SimpleQueue[range] = queue.SimpleQueue()
    for start in range(0, len(paths), AT_ONCE):
        chunks.put(range(start, min(start + AT_ONCE, len(paths))))
    done: queue.SimpleQueue[int | BaseException] = queue.SimpleQueue()
    ended = threading.Event()

    def work() -> None:
        """Give chunks to a process. One in which it dies is divided, until the file that did it stands alone."""
        worker = Looker()
        try:
            while not ended.is_set():
                try:
                    chunk = chunks.get_nowait()
                except queue.Empty:
                    return
                if (answer := worker.look([paths[row] for row in chunk], exact, near)) is not None:
                    facts[chunk.start : chunk.stop], thumbs[chunk.start : chunk.stop] = answer[:2]
                    reasons.update({chunk[row]: reason for row, reason in answer[2].items()})
                    done.put(len(chunk))
                    continue
                worker.close()
                worker = Looker()
                if len(chunk) > 1:
                    for part in (chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :]):
                        chunks.put(part)
                    continue
                facts[chunk[0]]["broken"], reasons[chunk[0]] = True, CRASHED
                done.put(1)
        except BaseException as error:
            done.put(error)
        finally:
            worker.close()

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = [threading.Thread(target=work, name="edgebench-scan") for _ in range(min(cores, chunks.qsize()))]
    for thread in threads:
        thread.start()
    try:
        counted = 0
        while counted < len(paths):
            step = done.get()
            if isinstance(step, BaseException):
                raise step
            counted += step
            on_progress(counted)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    return facts, thumbs, reasons


class Looker:
    """A process that looks at files (`looking`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=os.environ | ENVIRONMENT,
        )  # fmt: skip
        if not self._process.stdout or self._process.stdout.read(1) != looking.READY:
            self.close()
            raise EdgebenchError(
                "a process that reads pictures did not start",
                f"try `{sys.executable} -m {looking.__name__}`, which waits for input if all is well",
            )

    def look(
        self, paths: Sequence[Path], exact: bool, near: bool
    ) -> tuple[np.ndarray, np.ndarray, dict[int, str]] | None:
        """What looking.look finds; None if the process died of it."""
        asked, told = self._process.stdin, self._process.stdout
        assert asked and told
        request = b"".join(os.fsencode(path) + b"\0" for path in paths)
        try:
            asked.write(
                len(request).to_bytes(4, "little") + bytes([looking.EXACT * exact + looking.NEAR * near]) + request
            )
            asked.flush()
        except BrokenPipeError:
            return None
        answer = told.read(len(paths) * (FACTS.itemsize + THUMBS.itemsize))
        if len(answer) < len(paths) * (FACTS.itemsize + THUMBS.itemsize):
            return None
        facts = np.frombuffer(answer, FACTS, len(paths))
        thumbs = np.frombuffer(answer, THUMBS, len(paths), len(paths) * FACTS.itemsize)
        reasons = {}
        for row in np.flatnonzero(facts["broken"]).tolist():
            size = int.from_bytes(told.read(2), "little")
            reasons[row] = told.read(size).decode("utf-8", "replace")
        return facts, thumbs, reasons

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(OSError):
                pipe.close()
        self._process.kill()
        self._process.wait()
