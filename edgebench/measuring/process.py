"""Runs jobs in worker processes on this machine: time limit, memory limit, and every kind of end accounted for."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from edgebench.errors import BadFile
from edgebench.machine import registry
from edgebench.records import jsonio
from edgebench.records.jobs import Job, Status
from edgebench.records.result import Result
from edgebench.records.workspace import now
from edgebench.specs import Artifact, Probe

POLL_S = 0.1  # how often the memory of a worker is looked at; each look costs it a few microseconds
PROBE_LIMIT_S = 60.0


@dataclass(frozen=True)
class Ending:
    """How a worker process ended, as seen from outside. `cause` is "" where it ended by itself."""

    returncode: int
    cause: Status | str
    peak_rss_mib: int
    log: str


def run_job(
    job: Job, artifact: Artifact, *, verify: bool = True, images: Path | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Result:  # fmt: skip
    """Run a job once, in a worker of its own. Never raises for what the worker does: each way to fail is a status.

    `images` is the file of the test set, for the scenario "evaluate".
    """
    created = now()
    with tempfile.TemporaryDirectory(prefix="edgebench-") as scratch:
        job_file, result_file = Path(scratch, "job.json"), Path(scratch, "result.json")
        jsonio.write(job_file, job)
        arguments = ["measure", *([] if verify else ["--no-verify"]), *(["--images", str(images)] if images else [])]
        arguments += [str(job_file), str(artifact.path.resolve()), str(result_file)]
        ending = _run_worker(arguments, scratch, job.time_limit_s, job.memory_limit_mib, job.threads, on_phase)
        try:
            result = jsonio.read(Result, result_file)
            # A worker that wrote its result and then died in a library's clean-up has still measured.
            return replace(result, artifact=artifact, log_tail=result.log_tail or ending.log)
        except BadFile as error:
            status, message = _classify(ending, job, error)
    return Result(job, artifact, status, job.evidence, created, message, log_tail=ending.log)


def _classify(ending: Ending, job: Job, error: BadFile) -> tuple[Status, str]:
    if ending.cause == "timeout":
        return "timeout", f"stopped after the time limit of {job.time_limit_s:g} s (raise it with --time-limit)"
    if ending.cause == "out_of_memory":
        limit = f"the limit of {job.memory_limit_mib} MiB" if job.memory_limit_mib else "the machine's memory"
        return "out_of_memory", f"stopped at {ending.peak_rss_mib} MiB of resident memory, beyond {limit}"
    if ending.returncode < 0:
        try:
            name = signal.Signals(-ending.returncode).name
        except ValueError:
            name = f"signal {-ending.returncode}"
        return "crashed", f"the worker was killed by {name}"
    if ending.returncode > 0:
        last = (ending.log.strip().splitlines() or ["it said nothing"])[-1]
        return "crashed", f"the worker ended with exit code {ending.returncode}: {last}"
    return "crashed", f"the worker ended without a result: {error.message}"


def probe_all(names: list[str] | None = None) -> list[Probe]:
    """Ask runtimes what they can do here, each in a process of its own: a crashing library takes nothing with it."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(_probe, registry.names("runtimes") if names is None else names))


def _probe(name: str) -> Probe:
    with tempfile.TemporaryDirectory(prefix="edgebench-") as scratch:
        file = Path(scratch, "probe.json")
        ending = _run_worker(["probe", name, str(file)], scratch, PROBE_LIMIT_S, None, None, lambda phase: None)
        try:
            return jsonio.read(Probe, file)
        except BadFile:
            how = "did not answer in time" if ending.cause else f"died (exit code {ending.returncode})"
            return Probe(name, error=f"its process {how}: {ending.log.strip()[-300:]}", fix="reinstall its library")


def _run_worker(
    arguments: list[str],
    scratch: str,
    time_limit_s: float,
    memory_limit_mib: int | None,
    threads: int | None,
    on_phase: Callable[[str], None],
) -> Ending:
    phases_in, phases_out = os.pipe()
    lifeline_in, lifeline_out = os.pipe()  # the worker ends itself when our end closes, however we die
    log_path = Path(scratch, "log.txt")
    environment = os.environ | {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}  # no torch.py of the current folder
    if threads:
        environment |= {"OMP_NUM_THREADS": str(threads)}  # read by OpenMP before any adapter has a say
    command = [
        sys.executable,
        "-m",
        "edgebench.measuring.worker",
        "--lifeline",
        str(lifeline_in),
        "--phases",
        str(phases_out),
    ]
    oom_kills = _oom_kills()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command + arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=(lifeline_in, phases_out),
            start_new_session=True,  # a group of its own, so that whatever it starts ends with it
        )
    os.close(lifeline_in)
    os.close(phases_out)
    cause: Status | str = ""
    peak_mib = 0
    deadline = time.monotonic() + time_limit_s
    try:
        open_pipe = True
        while process.poll() is None:
            if open_pipe and select.select([phases_in], [], [], POLL_S)[0]:
                data = os.read(phases_in, 4096)
                open_pipe = bool(data)
                for phase in data.decode().split():
                    on_phase(phase)
            elif not open_pipe:
                time.sleep(POLL_S)
            with contextlib.suppress(psutil.Error):  # it may have ended in between
                peak_mib = max(peak_mib, psutil.Process(process.pid).memory_info().rss // 2**20)
            if memory_limit_mib and peak_mib > memory_limit_mib:
                cause = "out_of_memory"
            elif time.monotonic() > deadline:
                cause = "timeout"
            if cause:
                break
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        returncode = process.wait()
        os.close(phases_in)
        os.close(lifeline_out)
    if not cause and returncode == -signal.SIGKILL and _oom_kills() != oom_kills:
        cause = "out_of_memory"  # the kernel was faster than we
    log_text = log_path.read_bytes()[-4000:].decode(errors="replace")
    return Ending(returncode, cause, peak_mib, log_text)


def _oom_kills() -> str:
    """The kernel's count of processes killed for want of memory, as text; "" where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("oom_kill ")), "")


@contextlib.contextmanager
def device_to_ourselves(on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the machine's measuring lock: two measurements at once would each slow the other. Waits for its turn."""
    with _lock_file() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def machine_shared() -> Iterator[bool]:
    """Keep measurements away while this machine trains. False, and nothing is held, while one is being made."""
    with _lock_file() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextlib.contextmanager
def _lock_file() -> Iterator[int]:
    path = Path(tempfile.gettempdir(), "edgebench-measuring.lock")
    try:  # reading is enough for flock, so another user's lock file serves as well
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)
