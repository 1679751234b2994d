"""Child processes: starts each in a group of its own, watches it, ends it with its parent, and says how it ended.

The parent holds one end of a pipe, the lifeline. The kernel closes it when the parent dies, however it dies; the child,
which has called `end_with_parent`, then ends itself and whatever it started.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from edgebench.records import onnx_file, replacing

POLL_S = 0.1  # how often a child's memory is read; each reading costs it a few microseconds
LOG_BYTES = 4000  # of the end of its output
# Environment variables with the numbers of file descriptors, and whether the kernel is to watch as well.
LIFELINE, PHASES, WATCHED = "EDGEBENCH_LIFELINE", "EDGEBENCH_PHASES", "EDGEBENCH_WATCHED"
# Python does not import a torch.py of the current folder, and what is printed is in the log at once.
ENVIRONMENT = {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a child ended: by itself, with an exit code; by a signal, whose name is kept; or at one of our limits.

    "out_of_memory": it reached our memory limit, or the kernel ran out of memory. `log` is the end of what the child
    printed, `phase` the last one that it told.
    """

    cause: Literal["exit", "signal", "timeout", "out_of_memory"]
    exit_code: int | None = None
    signal: str = ""
    peak_rss_mib: int = 0
    log: str = ""
    phase: str = ""

    @property
    def how(self) -> str:
        """How it ended, as words that follow "the process"."""
        if self.cause == "timeout":
            return "did not end in time"
        if self.cause == "out_of_memory":
            return "was killed because memory ran out"
        return f"was killed by {self.signal}" if self.signal else f"ended with exit code {self.exit_code}"

    @property
    def last_line(self) -> str:
        return last_line(self.log)


class Child:
    """A process that ends when we end. It is started at once; `wait` or `stop` has to follow.

    `log`: the file for what it prints, by default a temporary one; `held`: file descriptors that it inherits.
    `stoppable`: it may be sent SIGSTOP; the thread that starts it has to outlive it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        held: Sequence[int] = (),
        stoppable: bool = False,
    ) -> None:
        lifeline, self._lifeline = os.pipe()
        self._phases, phases = os.pipe()
        # It lives as long as the process.
        self._log = log.open("w+b") if log else tempfile.TemporaryFile(dir=replacing.temporary())  # noqa: SIM115
        self._oom_kills = _oom_kills()
        self._peak_mib, self._last, self._phase = 0, "", ""
        self._since = 0  # where in the log the present request began
        told = {LIFELINE: str(lifeline), PHASES: str(phases)}
        if threading.current_thread() is threading.main_thread():  # the kernel would take any other's end for ours
            told[WATCHED] = "1"
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
                env=os.environ | ENVIRONMENT | (environment or {}) | told, pass_fds=(lifeline, phases, *held),
                **({"preexec_fn": _killed_while_stopped()} if stoppable else {"start_new_session": True}),
            )  # fmt: skip
        except BaseException:
            self._close()
            raise
        finally:
            os.close(lifeline)
            os.close(phases)

    def wait(
        self,
        *,
        time_limit_s: float = math.inf,
        phase_limit_s: float = math.inf,
        memory_limit_mib: int | None = None,
        on_phase: Callable[[str], None] = lambda phase: None,
        on_wait: Callable[[float], None] = lambda seconds: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Ending:
        """Wait until it ends, or end it at a limit. What it started ends with it, also when we are interrupted.

        `phase_limit_s`: for each phase; `on_wait` hears from time to time how long the present one takes.
        """
        limit = self._watched([], time_limit_s, phase_limit_s, memory_limit_mib, on_phase, on_wait, clock)
        return self._ending(limit or "")

    def wait_for(
        self, answer: int, *, time_limit_s: float = math.inf, memory_limit_mib: int | None = None,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> Ending | None:  # fmt: skip
        """Wait until the file descriptor `answer` can be read: it lives on then. Else, how it ended, as `wait` says.

        The limits, and what `said` and `phase` tell, are for what it does from now on.
        """
        self._peak_mib, self._phase, self._since = 0, "", os.fstat(self._log.fileno()).st_size
        limit = self._watched(
            [answer], time_limit_s, math.inf, memory_limit_mib, on_phase, lambda seconds: None, time.monotonic
        )
        return None if limit is None else self._ending(limit)

    def _watched(
        self, answers: list[int], time_limit_s: float, phase_limit_s: float, memory_limit_mib: int | None,
        on_phase: Callable[[str], None], on_wait: Callable[[float], None], clock: Callable[[], float],
    ) -> Literal["", "timeout", "out_of_memory"] | None:  # fmt: skip
        """Which limit it reached; "" if it ended by itself, None if one of `answers` can be read."""
        since = clock()
        deadline = since + time_limit_s
        listening = True
        try:
            while self._process.poll() is None:
                if listening or answers:
                    ready = select.select([*([self._phases] if listening else []), *answers], [], [], POLL_S)[0]
                else:  # it is about to end
                    ready = []
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(POLL_S)
                if self._phases in ready:
                    heard = self._heard()
                    listening = bool(heard)
                    for phase in heard:
                        since = clock()
                        on_phase(phase)
                if any(answer in ready for answer in answers):
                    return None
                with contextlib.suppress(psutil.Error):  # it may have ended in between
                    rss_mib = psutil.Process(self._process.pid).memory_info().rss // 2**20
                    self._peak_mib = max(self._peak_mib, rss_mib)
                late = clock() > min(deadline, since + phase_limit_s)
                on_wait(clock() - since)
                if memory_limit_mib and self._peak_mib > memory_limit_mib:
                    return "out_of_memory"
                if late:
                    return "timeout"
        except BaseException:
            self.stop()
            raise
        return ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def phase(self) -> str:
        """The last phase that it told; "" if it told none."""
        while select.select([self._phases], [], [], 0)[0] and self._heard():
            pass
        return self._phase

    def _heard(self) -> list[str]:
        """The phases that it told since the last time; none once it is about to end."""
        told = os.read(self._phases, 4096).decode(errors="replace").splitlines()
        self._phase = told[-1] if told else self._phase
        return told

    def running(self) -> bool:
        return self._process.poll() is None

    def ended(self) -> Ending | None:
        """How it ended; None while it runs."""
        return None if self._process.poll() is None else self._ending("")

    def signal(self, number: int) -> None:
        """Send a signal to it and to what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def said(self) -> str:
        """The end of what it printed so far, since the last `wait_for` began."""
        size = os.fstat(self._log.fileno()).st_size
        # Without a seek: the child shares the position in the file.
        return os.pread(self._log.fileno(), LOG_BYTES, max(self._since, size - LOG_BYTES)).decode(errors="replace")

    def stop(self) -> None:
        """End it and what it started; may be called twice."""
        if not self._log.closed:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._last = self.said()
            self._close()

    def _ending(self, limit: Literal["", "timeout", "out_of_memory"]) -> Ending:
        self.stop()
        code = self._process.returncode
        seen = {"peak_rss_mib": self._peak_mib, "log": self._last, "phase": self._phase}
        if limit:
            return Ending(cause=limit, **seen)
        if code >= 0:
            return Ending(cause="exit", exit_code=code, **seen)
        name = _signal_name(-code)
        killed = name == "SIGKILL" and _oom_kills() != self._oom_kills  # the kernel was faster than we were
        return Ending(cause="out_of_memory" if killed else "signal", signal=name, **seen)

    def _close(self) -> None:
        self._log.close()
        os.close(self._phases)
        os.close(self._lifeline)


def last_line(said: str) -> str:
    return (said.strip().splitlines() or ["it said nothing"])[-1]


def end_with_parent() -> None:
    """Call this first in the child: ends its process group when the parent is gone, also after a kill -9.

    Does nothing in a process that was started by hand.
    """
    lifeline = os.environ.pop(LIFELINE, "")
    replacing.temporary()  # before a library asks Python for it
    onnx_file.walk_here()

    def wait() -> None:
        os.read(int(lifeline), 1)  # blocks without using the CPU; nothing is ever written, so it returns at end of file
        os.killpg(0, signal.SIGKILL)

    if os.environ.pop(WATCHED, "") and (prctl := getattr(ctypes.CDLL(None), "prctl", None)):
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))  # while it is stopped, it watches nothing itself
    if lifeline:
        threading.Thread(target=wait, name="lifeline", daemon=True).start()


def teller() -> Callable[[str], None]:
    """For the child: a function that tells the parent which phase it is in, in a line of words."""
    phases = os.environ.pop(PHASES, "")
    return lambda phase: os.write(int(phases), phase.encode() + b"\n") if phases else None


def _killed_while_stopped() -> Callable[[], None]:
    """What a stoppable child does before its program. A stopped one cannot watch its lifeline, so the kernel kills it.

    Without prctl, the kernel at least wakes a stopped group when the last process of our session ends.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def prepare() -> None:
        os.setpgid(0, 0)
        if prctl:
            prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))

    return prepare


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _oom_kills() -> str:
    """The kernel's count of processes that it killed because memory ran out, as text; "" if it gives none."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("oom_kill ")), "")
