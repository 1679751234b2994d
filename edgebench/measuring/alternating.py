"""Two workers that run in alternating short bursts, so that changes in the machine's speed affect both alike."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection  # only its frames of bytes are used; nothing is ever unpickled
from pathlib import Path

import psutil

from edgebench.errors import EdgebenchError
from edgebench.machine.children import Child, Ending, last_line
from edgebench.records import jsonio
from edgebench.records.jobs import Job
from edgebench.results import stats
from edgebench.specs import Artifact, Effective

BURST_NS = 10_000_000  # short beside the machine's changes of speed, long beside the switch between the two
FEWEST = 3  # bursts of each side per launch, however slow the model
START_LIMIT_S = 120.0
BURST_LIMIT_S = 60.0
WATCH_S = 0.1


class Silent(EdgebenchError):
    """A worker that runs, but does not answer in time."""


@dataclass(frozen=True)
class Contestant:
    """How to start the process of one side. The file descriptor it answers on is appended to the arguments.

    The protocol, in frames of bytes: once ready and warm, the process describes itself (JSON). Then each frame "n"
    makes it run n inferences. The first quarter of them (at least one) is untimed; it answers with the nanoseconds of
    the others (int64).
    """

    name: str
    command: Sequence[str]
    environment: dict[str, str]


def contestant(
    job: Job, artifact: Artifact, scratch: Path, *, verify: bool, python: str = sys.executable
) -> Contestant:
    """A worker of edgebench that measures `job`, run by `python`, an environment in which edgebench is installed."""
    job_file = scratch / f"{job.identity}.json"
    jsonio.write(job_file, job)
    command = [python, "-m", "edgebench.measuring.worker", "bursts", *([] if verify else ["--no-verify"])]
    environment = {"OMP_NUM_THREADS": str(job.threads)} if job.threads else {}
    return Contestant(job.runtime, [*command, str(job_file), str(artifact.path.resolve())], environment)


def racer(job: Job, artifact: Artifact, scratch: Path, result: Path, *, verify: bool) -> Contestant:
    """A worker that measures `job` in turns (turns.py), and writes the result when they are over."""
    job_file = scratch / f"{job.identity}.json"
    jsonio.write(job_file, job)
    command = [sys.executable, "-m", "edgebench.measuring.worker", "measure", *([] if verify else ["--no-verify"])]
    environment = {"OMP_NUM_THREADS": str(job.threads)} if job.threads else {}
    files = (job_file, artifact.path.resolve(), result)
    return Contestant(job.runtime, [*command, *map(str, files), "--turns"], environment)


class Worker:
    """A contestant's process, seen from the side that measures.

    It is stopped (SIGSTOP) while the other side runs: the threads of ONNX Runtime and OpenVINO keep spinning after an
    inference. Two of them on a core that the other side needs cost it a whole time slice, twice its inference.

    It may take `limits_s` to start, and for a burst. While it has not answered, `watch` is called every WATCH_S; what
    that raises ends the wait.
    """

    def __init__(
        self, contestant: Contestant, *, limits_s: tuple[float, float] = (START_LIMIT_S, BURST_LIMIT_S)
    ) -> None:  # fmt: skip
        self.name = contestant.name
        self.watch: Callable[[], None] = lambda: None
        self._limits_s = limits_s
        ours, theirs = socket.socketpair()
        self._child = Child(
            [*contestant.command, str(theirs.fileno())],
            environment=contestant.environment, held=[theirs.fileno()], stoppable=True,
        )  # fmt: skip
        theirs.close()
        self._connection = Connection(ours.detach())
        self._process = psutil.Process(self._child.pid)

    def ready(self) -> Effective | None:
        """Wait until it is warm. Returns what it runs; None for a rival that does not report it."""
        told = json.loads(self._receive(self._limits_s[0]))
        if "error" in told:
            raise EdgebenchError(f"{self.name}: {told['error']}", told.get("fix", ""))
        self._child.signal(signal.SIGSTOP)
        return jsonio.decode(Effective, told["effective"], self.name) if "effective" in told else None

    def burst(self, count: int) -> array[int]:
        """Run `count` inferences. Returns the times in ns of all but the first quarter, which warms the caches."""
        self._child.signal(signal.SIGCONT)
        with contextlib.suppress(OSError):  # it has ended, as the attempt to receive will find
            self._connection.send_bytes(str(count).encode())
        samples = array("q")
        samples.frombytes(self._receive(self._limits_s[1]))
        self._child.signal(signal.SIGSTOP)
        return samples

    @property
    def pid(self) -> int:
        return self._child.pid

    def resident_bytes(self) -> int:
        """The memory that the process holds, in bytes; 0 once it has ended."""
        try:
            return self._process.memory_info().rss
        except psutil.Error:
            return 0

    def release(self) -> None:
        """Tell it that the turns are over: it writes its result and ends. May be called twice."""
        self._connection.close()
        self._child.signal(signal.SIGCONT)

    def finish(self, limit_s: float, memory_limit_mib: int | None) -> Ending:
        """Release it, and wait until it has ended."""
        self.release()
        return self._child.wait(time_limit_s=limit_s, memory_limit_mib=memory_limit_mib)

    @property
    def phase(self) -> str:
        """The last phase that it told, before it is closed."""
        return self._child.phase

    def said(self) -> str:
        """The end of what it printed so far; empty once it is closed."""
        return self._child.said()

    def close(self) -> None:
        """End the process; may be called twice."""
        self._connection.close()
        self._child.stop()

    def _receive(self, limit_s: float) -> bytes:
        deadline = time.monotonic() + limit_s
        while not self._connection.poll(max(0.0, min(WATCH_S, deadline - time.monotonic()))):
            self.watch()
            if time.monotonic() > deadline:
                raise Silent(f"{self.name} did not answer within {limit_s:g} s", "use a smaller model or batch")
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            raise EdgebenchError(f"the process of {self.name} ended: {last_line(self._child.said())}") from None


@contextlib.contextmanager
def both(one: Contestant, other: Contestant) -> Iterator[tuple[Worker, Worker]]:
    """Both, alive and warm. They load at the same time and never run at the same time after that."""
    with contextlib.ExitStack() as stack:
        workers = []
        for contestant in (one, other):
            with interrupted_after():
                workers.append(Worker(contestant))
                stack.callback(workers[-1].close)
        for worker in workers:
            worker.ready()
        yield workers[0], workers[1]


@contextlib.contextmanager
def interrupted_after() -> Iterator[None]:
    """Hold back Ctrl-C until the block ends: it must not come between starting a process and recording it."""
    if threading.current_thread() is not threading.main_thread():  # Ctrl-C arrives in the main thread only
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def alternate(base: Worker, new: Worker, *, until: Callable[[], bool]) -> tuple[list[int], list[int]]:
    """Run bursts in turn, swapping the order each time, until `until()`. Returns the medians of base and of new."""
    counts = [count(fastest_ns(worker)) for worker in (base, new)]
    medians: tuple[list[int], list[int]] = ([], [])
    while len(medians[0]) < FEWEST or not until():
        for side in (0, 1) if len(medians[0]) % 2 == 0 else (1, 0):
            medians[side].append(stats.median((base, new)[side].burst(counts[side])))
    return medians


def fastest_ns(worker: Worker) -> int:
    """About how long an inference takes: the median, taken beside other programs, would make bursts of two or three."""
    fastest = min(worker.burst(4))
    return max(1, fastest if fastest >= BURST_NS / 16 else min(worker.burst(32)))


def count(fastest_ns: float, burst_ns: float = BURST_NS) -> int:
    """How many inferences make a burst: at least two, one that warms the caches and one that is timed."""
    return max(2, round(burst_ns / fastest_ns))
