"""The program on a board that answers the desk over one ssh connection; files and jobs stay between connections.

    python -m edgebench.boards.agent

A request is a line of JSON on stdin; `put` is followed by the bytes of the file. Answers are such lines on stdout; a
`result` is followed by its bytes. The agent ends with its stdin, or when the desk has been silent for LEASE_S. The
measuring itself (supervisor.py) continues without it, so that the link may drop.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebench import __version__
from edgebench.boards import dating, requests, supervisor
from edgebench.boards.requests import Follow, Forget, Halt, Lacking, Put, Restore, Start, TryRuntimes
from edgebench.errors import EdgebenchError
from edgebench.machine.packing import code_digest
from edgebench.records import digests, files, processes

ROOT = Path("~/.local/share/edgebench")
LEASE_S = 60.0  # the desk sends something every few seconds; a link that died silently must not keep this process
POLL_S = 0.3  # how often a follower checks for news: one stat() of two files
BEAT_S = 3.0
LONGEST_REQUEST = 1 << 26  # with the names of all files of a sweep
SPARE_BYTES = 8 * 2**20  # kept free for the results
KEPT_S = 30 * 24 * 3600  # files and finished jobs that were not used for this time are removed


class Agent:
    """Answers requests: the method do_NAME answers the request NAME."""

    def __init__(self, root: Path) -> None:
        self.files, self.jobs = root / "files", root / "jobs"
        for folder in (self.files, self.jobs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._desk, self._today = Desk(), None

    def serve(self) -> None:
        """Answer requests until the desk ends the connection."""
        self._desk.tell({"edgebench": __version__, "code": code_digest()})
        while (request := self._desk.hear(LEASE_S)) is not None:
            self.answer(request)

    def answer(self, request: dict[str, Any]) -> None:
        """Do what is asked, or tell why not."""
        try:
            asked = requests.asked(request)
            getattr(self, f"do_{request['do']}")(asked)
        except EdgebenchError as error:
            self._desk.tell({"error": error.message, "fix": error.fix})
        except OSError as error:
            self._desk.tell({"error": f"{error.filename or self.files}: {error.strerror}", "fix": _remedy(error)})
        except ValueError as error:  # positions at which no line of the job's files begins
            self._desk.tell({"error": f"its news cannot be told: {error}"})

    def do_lacks(self, request: Lacking) -> None:
        """Which of these files must be sent: those that are missing or damaged. Damaged ones are removed.

        Files and jobs are dated by the desk's clock alone, since a board's own may be set at any moment. What was not
        used for long by it is removed.
        """
        lacks, self._today = {}, request.clock
        self._remove_old()
        for sha256, size in request.files.items():
            path = self.files / sha256
            if path.is_file() and digests.of_file(path) == sha256:
                self._date(path)
            else:
                path.unlink(missing_ok=True)
                lacks[sha256] = size
        free = shutil.disk_usage(self.files).free
        if lacks and free < sum(lacks.values()) + SPARE_BYTES:
            needed = (sum(lacks.values()) + SPARE_BYTES) / 2**20
            raise EdgebenchError(
                f"its disk is full: {needed:.1f} MiB are needed in {self.files}, {free / 2**20:.1f} MiB are free",
                "free some space there",
            )
        self._desk.tell({"lacks": sorted(lacks)})

    def do_put(self, request: Put) -> None:
        """Store a file. It counts only when it is whole, on disk, and has the announced sha256."""
        path, left, digest = self.files / request.sha256, request.size, hashlib.sha256()
        handle, partial = tempfile.mkstemp(dir=self.files, prefix=f".partial-{processes.tag()}-")
        try:
            with os.fdopen(handle, "wb") as file:
                while left:
                    block = self._desk.read(min(left, 1 << 16), LEASE_S)
                    digest.update(block)
                    file.write(block)
                    left -= len(block)
                file.flush()
                os.fsync(file.fileno())
            if digest.hexdigest() != path.name:
                raise EdgebenchError("a file arrived damaged", "run it again")
            os.replace(partial, path)
            self._date(path)
        except OSError as error:
            # The rest of the file is still arriving and would be taken for requests: end this connection.
            self._desk.tell({"error": f"it cannot store a file: {error.strerror}", "fix": _remedy(error)})
            raise SystemExit(1) from None
        finally:
            Path(partial).unlink(missing_ok=True)
        self._desk.tell({})

    def do_start(self, request: Start) -> None:
        """Start a job. If it is already here, it is not started again."""
        self._today = request.clock
        folder = self.jobs / request.job
        known = folder.exists()
        if not known:
            with tempfile.TemporaryDirectory(dir=self.jobs, prefix=f".new-{processes.tag()}-") as made:
                scratch = Path(made, "job")
                self._lay_out(scratch, request)
                with contextlib.suppress(FileExistsError):  # another connection was faster
                    scratch.rename(folder)
        supervisor.start(folder)
        self._desk.tell({"known": known})

    def _lay_out(self, folder: Path, request: Start) -> None:
        folder.mkdir()
        job = {"arguments": list(request.arguments), "folders": list(request.folders)}
        if request.images:
            _lay(self.files / request.images, folder / "images.npz")
            job["arguments"].append("--images=images.npz")
        (folder / "job.json").write_text(json.dumps(job))
        self._date(folder / "job.json")
        for name, contents in request.folders.items():
            inside = folder / "folders" / name
            inside.mkdir(parents=True)
            for file, sha256 in contents.items():
                _lay(self.files / sha256, inside / file)

    def do_follow(self, request: Follow) -> None:
        """Send the news of a job as they come, from the file positions `at` on, until it ends or the desk stops it."""
        folder, at = self.jobs / request.job, {name: request.at.get(name, 0) for name in ("progress", "log")}
        heard, told = time.monotonic(), time.monotonic()
        while True:
            ended = supervisor.ended(folder)  # before reading the news, so that none can come after it
            for event in supervisor.news(folder, at):
                told = time.monotonic()
                if "result" in event:
                    self._send_result(folder, event["result"], at)
                else:
                    self._desk.tell(event | {"at": at})
            if ended is not None:
                for name in supervisor.untold(folder):
                    self._send_result(folder, name, at)
                if ended != {"exit_code": 0} and (free := shutil.disk_usage(folder).free) < SPARE_BYTES:
                    # The job could not even write down why it ended.
                    line = f"Error: its disk is full: {free / 2**20:.1f} MiB are free in {self.jobs}"
                    self._desk.tell({"line": line, "at": at})
                self._desk.tell({"ended": ended})
                return
            if time.monotonic() - told > BEAT_S:
                told = time.monotonic()
                self._desk.tell({})
            if self._desk.waiting(POLL_S):
                heard = time.monotonic()
                if (word := self._desk.hear(LEASE_S)) is None:
                    raise SystemExit(0)
                if word.get("do") == "stop":
                    supervisor.stop(folder)
            elif time.monotonic() - heard > LEASE_S:
                raise SystemExit(0)

    def _send_result(self, folder: Path, name: str, at: Mapping[str, int]) -> None:
        text = files.inside(supervisor.results(folder), name).read_text(encoding="utf-8")
        # Paths of this board are useless elsewhere, and the home's path has the user's name in it.
        for path, short in ((f"{folder / 'folders'}/", ""), (f"{Path.home()}/", "~/")):
            text = text.replace(json.dumps(path)[1:-1], short)
        content = text.encode()
        self._desk.tell({"result": len(content), "age_s": dating.age_s(folder, text), "at": at}, content)

    def do_stop(self, request: Halt) -> None:
        """End a job that is not being followed; it keeps its results."""
        supervisor.stop(self.jobs / request.job)
        self._desk.tell({})

    def do_probe(self, request: TryRuntimes) -> None:
        """The fault of each of these runtimes here, "" if it works."""
        from edgebench.measuring import process

        self._desk.tell({"probes": {found.name: found.error for found in process.probe_all(list(request.runtimes))}})

    def do_restore(self, request: Restore) -> None:
        """Put back the settings that a killed run changed; "" if there are none."""
        from edgebench.machine import clocks

        self._desk.tell({"done": clocks.restore()})

    def do_forget(self, request: Forget) -> None:
        """Remove a job whose results have all been fetched."""
        folder = self.jobs / request.job
        if supervisor.ended(folder) is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._desk.tell({})

    def _date(self, path: Path) -> None:
        if self._today is not None:
            os.utime(path, (self._today, self._today))

    def _remove_old(self) -> None:
        """Remove what killed agents left, and what is old by the desk's clock."""
        for path in [*self.files.glob(".partial-*"), *self.jobs.glob(".new-*")]:
            if processes.gone("-".join(path.name.split("-")[1:3])):
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if self._today is None:
            return
        # A partial file is one that another connection is receiving, and has the date of the board's own clock.
        for path in [*self.files.glob("[!.]*"), *self.jobs.glob("*/job.json")]:
            with contextlib.suppress(OSError):  # another connection may be removing it too
                if path.stat().st_mtime >= self._today - KEPT_S:
                    continue
                if path.parent == self.files:
                    path.unlink()
                elif supervisor.ended(path.parent) is not None:
                    shutil.rmtree(path.parent, ignore_errors=True)


class Desk:
    """The other side: lines of JSON, and bytes between them, on this process's stdin and stdout."""

    def __init__(self) -> None:
        self._buffer = b""

    def tell(self, answer: Mapping[str, Any], body: bytes = b"") -> None:
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + body)
        sys.stdout.buffer.flush()

    def waiting(self, limit_s: float) -> bool:
        """Whether the desk sends something, or closes, within this time."""
        return bool(self._buffer) or bool(select.select([0], [], [], limit_s)[0])

    def hear(self, limit_s: float) -> dict[str, Any] | None:
        """The next request; None if the desk has closed the connection or sends none in time."""
        while b"\n" not in self._buffer:
            block = os.read(0, 1 << 16) if select.select([0], [], [], limit_s)[0] else b""
            if not block or len(self._buffer) > LONGEST_REQUEST:
                return None
            self._buffer += block
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {}  # which is refused

    def read(self, count: int, limit_s: float) -> bytes:
        """At most `count` of the bytes that follow a request. Ends this process if the desk is gone."""
        block, self._buffer = self._buffer[:count], self._buffer[count:]
        if not block and select.select([0], [], [], limit_s)[0]:
            block = os.read(0, count)
        if not block:
            raise SystemExit(1)
        return block


def _lay(file: Path, where: Path) -> None:
    try:
        os.link(file, where)
    except FileNotFoundError:
        raise EdgebenchError(f"{file} is gone there", "repeat the command, which sends it again") from None
    except OSError:  # a file system without hard links
        shutil.copyfile(file, where)


def _remedy(error: OSError) -> str:
    import errno

    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "its disk is full, or your quota there: free some space" if error.errno in full else ""


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the desk is gone
        Agent(ROOT.expanduser()).serve()
