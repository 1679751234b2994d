"""The outcome of each step on disk, in WORKSPACE/sweep. Files are written whole, by one sweep at a time.

lock                the sweep at work, with its process
steps/HASH.json     a StepOutcome; one that is "running" is under way, or was killed
phases/HASH         what a step is doing, in words
logs/HASH.txt       what a step's process printed
log.jsonl           a line for each step that began or ended
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from edgebench import artifact
from edgebench.errors import BadFile, EdgebenchError
from edgebench.records import jsonio, processes, replacing
from edgebench.records.replacing import taken
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace, now
from edgebench.results import store
from edgebench.specs import Artifact
from edgebench.sweeping.steps import Step, StepOutcome, Train


class Records:
    """The records of a workspace. As a context manager it is the only sweep there: another gets an EdgebenchError."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.folder = workspace.root.absolute() / "sweep"
        self.lock: int | None = None

    def __enter__(self) -> Records:
        (self.folder / "phases").mkdir(parents=True, exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        if not _taken(handle, patience_s=10.0):
            who, _ = _holder(handle)
            os.close(handle)
            raise EdgebenchError(
                f"another sweep is at work in {self.workspace.root}{f' ({who})' if who else ''}",
                "wait until it ends, or use another --workspace; nothing was lost",
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} since {now()[:19]} UTC\n{processes.tag()}".encode(), 0)
        self.lock = handle
        replacing.sweep_up(self.workspace.checkpoints, self.workspace.artifacts)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.lock is not None:
            os.ftruncate(self.lock, 0)
            os.close(self.lock)
            self.lock = None

    def read(self, identity: str) -> StepOutcome | None:
        """The record of a step; None if there is none, or it cannot be read: the step is then done again.

        Raises NewerFile if a newer edgebench wrote it.
        """
        found = jsonio.read_if_good(StepOutcome, self._file(identity))
        return found if found and found.step.identity == identity else None

    def all(self) -> Iterator[StepOutcome]:
        """Every record of this workspace, from all sweeps."""
        for path in sorted((self.folder / "steps").glob("*.json")):
            if found := self.read(path.stem):
                yield found

    def begin(self, step: Step) -> StepOutcome:
        """Record that a step begins. One that was cut short keeps the time when it first began."""
        before, moment = self.read(step.identity), now()
        cut_short = before is not None and before.status == "running"
        attempts = before.attempts + 1 if before else 1
        begun = StepOutcome(
            step=step, status="running", since=before.since if cut_short else moment, began=moment, attempts=attempts
        )
        jsonio.write(self._file(step.identity), begun)
        self.log("began", begun)
        return begun

    def end(self, outcome: StepOutcome) -> StepOutcome:
        """Record the outcome of a step."""
        jsonio.write(self._file(outcome.step.identity), outcome)
        self.log("ended", outcome)
        (self.folder / "phases" / outcome.step.identity).unlink(missing_ok=True)
        return outcome

    def done(self, step: Step, sources: dict[str, StepOutcome]) -> StepOutcome | None:
        """The outcome of a step that need not be done again; None for any other.

        It went well, what it was made from has not changed since, and what it made is still there.
        """
        found = self.read(step.identity)
        if found is None or found.status != "ok":
            return None
        if step.needs and sources[step.needs[0]].product != found.made_from:
            return None
        try:
            there = self.result(found) if step.kind in ("evaluate", "measure") else self.artifact(found, verify=False)
        except BadFile:
            return None
        return found if isinstance(there, Result) or there.identity == found.product else None

    def artifact(self, outcome: StepOutcome, verify: bool = True) -> Artifact:
        """The checkpoint or artifact that a step made."""
        return artifact.read(self.workspace.root / outcome.path, verify)

    def source(self, step: Step) -> Artifact:
        """What a step starts from. Raises EdgebenchError if the step before it is not done."""
        before = self.read(step.source)
        if before is None or before.status != "ok":
            raise EdgebenchError("the step that it depends on is not done", "sweep again")
        return self.artifact(before)

    def result(self, outcome: StepOutcome) -> Result:
        """The result that a step made."""
        return store.read(self.workspace.root / outcome.path, samples=False)

    def claimed(self, step: Train) -> bool:
        """Whether another step, with the same recipe but another dataset or torch, wrote the checkpoint's folder."""
        return any(
            isinstance(other.step, Train) and other.step.folder == step.folder and other.step.identity != step.identity
            for other in self.all()
        )

    def phase(self, identity: str) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "phases" / identity).read_text(encoding="utf-8", errors="replace")[:200]
        return ""

    def tell(self, identity: str, phase: str) -> None:
        """Record what a step is doing. This is not atomic: a reader may see half a word, but never a wrong outcome."""
        (self.folder / "phases" / identity).write_text(phase, encoding="utf-8")

    def log_file(self, identity: str) -> Path:
        return self.folder / "logs" / f"{identity}.txt"

    def log(self, event: str, outcome: StepOutcome) -> None:
        step = outcome.step
        line = {
            "time": now(), "event": event, "step": step.identity, "kind": step.kind, "title": step.title,
            "status": outcome.status, "attempt": outcome.attempts, "seconds": outcome.seconds,
        }  # fmt: skip
        handle = os.open(self.folder / "log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(json.dumps(line).encode() + b"\n")

    def _file(self, identity: str) -> Path:
        return self.folder / "steps" / f"{identity}.json"


def _taken(handle: int, patience_s: float) -> bool:
    """Take the lock, waiting up to `patience_s`: the steps of a killed sweep hold its lock until they are gone too."""
    deadline = time.monotonic() + patience_s
    while True:
        if taken(handle):
            return True
        _, tag = _holder(handle)
        if (tag and not processes.gone(tag)) or time.monotonic() > deadline:
            return False
        time.sleep(0.1)


def _holder(handle: int) -> tuple[str, str]:
    """Who took the lock: a sentence, and the tag of the process. Both are empty if nobody did."""
    sentence, _, tag = os.pread(handle, 100, 0).decode(errors="replace").partition("\n")
    return sentence, tag
