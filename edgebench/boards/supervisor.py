"""Runs a measurement on a board so that it outlives the ssh connection; the agent follows it through its files.

    python -m edgebench.boards.supervisor JOB_FOLDER

JOB_FOLDER holds `job.json` (the arguments of `edgebench`), `folders/` (the artifacts), and then `lock` (held for as
long as anything of the job lives), `began.json`, `pid`, `progress.jsonl`, `log.txt`, `runs/results/` and, at the end,
`ended.json`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from edgebench.boards import dating
from edgebench.machine.device import HOSTED
from edgebench.records.replacing import taken

GRACE_S = 30  # for `edgebench run` to write its results after it was told to stop


def start(folder: Path) -> None:
    """Start the job of this folder in its own session. Does nothing if it was started before."""
    with (folder / "lock").open("w") as lock:
        if not taken(lock):
            return  # it is running
        if (folder / "pid").exists():
            return  # it has ended
        (folder / dating.BEGAN).write_text(json.dumps(dating.began()))
        # The lock belongs to the open file, which the supervisor inherits: it is held without a gap.
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgebench.boards.supervisor", str(folder), str(lock.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=folder,
                pass_fds=[lock.fileno()], start_new_session=True,
            )  # fmt: skip
        (folder / "pid").write_text(str(process.pid))


def running(folder: Path) -> bool:
    """Whether any process of the job is alive."""
    try:
        with (folder / "lock").open("rb") as lock:
            return not taken(lock, shared=True)
    except FileNotFoundError:
        return False


def ended(folder: Path) -> dict[str, Any] | None:
    """How the job ended: {"exit_code": …}, with None if something killed it; None while it is running."""
    if running(folder):
        return None
    try:
        return json.loads((folder / "ended.json").read_text())
    except FileNotFoundError:
        return {"exit_code": None}


def stop(folder: Path) -> None:
    """Interrupt the job as Ctrl-C does."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        pid = int((folder / "pid").read_text())
        # Another process may have this number by now.
        if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            os.kill(pid, signal.SIGTERM)


def results(folder: Path) -> Path:
    return folder / "runs" / "results"


def news(folder: Path, at: dict[str, int]) -> Iterator[dict[str, Any]]:
    """What was written since the positions `at`, which are moved: {"status": …}, {"result": file name}, {"line": …}."""
    for line in _lines(folder / "log.txt", "log", at):
        yield {"line": line.decode(errors="replace")}
    for line in _lines(folder / "progress.jsonl", "progress", at):
        yield json.loads(line)


def _lines(path: Path, name: str, at: dict[str, int]) -> Iterator[bytes]:
    """The complete lines from the position on, which moves with each line."""
    try:
        with path.open("rb") as file:
            file.seek(at[name])
            for line in file:
                if not line.endswith(b"\n"):
                    return
                at[name] += len(line)
                yield line.rstrip(b"\n")
    except FileNotFoundError:
        return


def untold(folder: Path) -> list[str]:
    """The results that the progress file does not name: one written when the job was interrupted."""
    told = {event.get("result") for event in news(folder, {"progress": 0, "log": 0})}
    return sorted(path.name for path in results(folder).glob("*.json") if path.name not in told)


def supervise(folder: Path, lock: int) -> None:
    """Run the job to its end and record how it ended."""
    job = json.loads((folder / "job.json").read_text())
    artifacts = [f"folders/{name}" for name in job["folders"]]
    where = ["--workspace", "runs"]
    if job["arguments"][0] == "run":
        where += ["--progress", "progress.jsonl"]
    command = [sys.executable, "-m", "edgebench", *job["arguments"], *where, "--", *artifacts]
    # Before the child exists, so that no signal to stop is lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    environment = os.environ | {"PYTHONSAFEPATH": "1", "COLUMNS": "200", HOSTED: "1"}
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        pass_fds=[lock], preexec_fn=_unblock, env=environment,
    )  # fmt: skip

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.alarm(GRACE_S)
        process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGALRM, lambda number, frame: process.kill())
    _unblock()
    exit_code = process.wait()
    partial = folder / ".ended.json"
    try:
        partial.write_text(json.dumps({"exit_code": exit_code}))
        partial.rename(folder / "ended.json")
    except OSError as error:  # a full disk; the agent tells so
        said = f"how the job ended, with exit code {exit_code}, cannot be written down: {error.strerror}"
        raise SystemExit(said) from None


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


if __name__ == "__main__":
    supervise(Path(sys.argv[1]), int(sys.argv[2]))
