"""`python -m edgebench.sweeping.step_process`: one step, or the look at what a plan names, in a process of its own.

    python -m edgebench.sweeping.step_process --lifeline FD perform WORKSPACE HASH [--cores 0,1]
    python -m edgebench.sweeping.step_process --lifeline FD facts QUESTION.json ANSWER.json

A step may crash or take all memory: that is its own outcome, and the sweep goes on. The sweep may be killed: its steps
end with it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebench.errors import EdgebenchError, UsageError
from edgebench.measuring.worker import die_with_parent
from edgebench.records import jsonio
from edgebench.records.workspace import Workspace
from edgebench.sweeping import facts
from edgebench.sweeping.perform import perform
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Outcome

TELL_EVERY_S = 0.5


class Child:
    """A process that does the step of a record that was just begun. `stop` ends it; its outcome is then not known."""

    def __init__(
        self, begun: Outcome, kept: Records, *, cores: Sequence[int] = (), environment: dict[str, str] | None = None
    ) -> None:
        self.begun, self._kept = begun, kept
        identity = begun.step.identity
        chosen = ["--cores", ",".join(map(str, cores))] if cores else []
        arguments = ["perform", str(kept.workspace.root.absolute()), identity, *chosen]
        with kept.log_file(identity).open("wb") as log:
            # It holds the sweep's lock too: until it is gone, the next sweep waits.
            held = () if kept.lock is None else (kept.lock,)
            self._process, self._lifeline = _start(arguments, log, held, environment)

    def outcome(self) -> Outcome | None:
        """What came of the step, kept; None while it is under way."""
        if self._process.poll() is None:
            return None
        self.stop()
        identity = self.begun.step.identity
        found = self._kept.read(identity)
        if found is not None and found.status != "running":
            return found
        said = self._kept.log_file(identity).read_bytes()[-4000:].decode(errors="replace")
        seconds = None
        status, message = _ended(self._process.returncode, said)
        return self._kept.end(replace(self.begun, status=status, message=message, log_tail=said, seconds=seconds))

    def stop(self) -> None:
        """End it and whatever it started; may be called twice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            os.close(self._lifeline)
        self._lifeline = -1


def ask(question: facts.Question) -> facts.Facts:
    """`facts.find` in a process of its own: this one stays without torch."""
    with tempfile.TemporaryDirectory(prefix="edgebench-") as scratch:
        asked, answer, log = (Path(scratch, name) for name in ("asked.json", "answer.json", "log.txt"))
        jsonio.write(asked, question)
        with log.open("wb") as said:
            process, lifeline = _start(["facts", str(asked), str(answer)], said, (), None)
        try:
            process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(lifeline)
        if not answer.is_file():
            _, message = _ended(process.returncode, log.read_text(errors="replace"))
            raise EdgebenchError(f"the plan could not be looked at: {message}", "`edgebench doctor`")
        found = jsonio.read(Answer, answer)
    if found.facts is None:
        raise (UsageError if found.usage else EdgebenchError)(found.error, found.fix)
    return found.facts


@dataclass(frozen=True)
class Answer:
    """The facts, or what is wrong with the question, and whether the user asked for what cannot be meant."""

    facts: facts.Facts | None = None
    error: str = ""
    fix: str = ""
    usage: bool = False


def _start(
    arguments: list[str], log: object, held: tuple[int, ...], environment: dict[str, str] | None
) -> tuple[subprocess.Popen, int]:
    """The process, in a group of its own, and our end of its lifeline."""
    theirs, ours = os.pipe()
    command = [sys.executable, "-m", "edgebench.sweeping.step_process", "--lifeline", str(theirs), *arguments]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, pass_fds=(theirs, *held),
            start_new_session=True,
            env=os.environ | {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"} | (environment or {}),
        )  # fmt: skip
    finally:
        os.close(theirs)
    return process, ours


def _ended(returncode: int, said: str) -> tuple[str, str]:
    """Status and message for a process that ended without an answer."""
    if returncode == -signal.SIGKILL:
        return "out_of_memory", "its process was killed (SIGKILL), most likely for want of memory"
    if returncode < 0:
        return "crashed", f"its process was killed by {signal.Signals(-returncode).name}"
    last = (said.strip().splitlines() or ["it said nothing"])[-1]
    return "crashed", f"its process ended with exit code {returncode}: {last}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m edgebench.sweeping.step_process", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--lifeline", type=int, required=True, help="file descriptor that ends with the parent")
    verbs = parser.add_subparsers(dest="verb", required=True)
    performing = verbs.add_parser("perform")
    performing.add_argument("workspace", type=Path)
    performing.add_argument("identity")
    performing.add_argument("--cores", default="", help="the only ones to run on")
    asking = verbs.add_parser("facts")
    asking.add_argument("question", type=Path)
    asking.add_argument("answer", type=Path)
    given = parser.parse_args(arguments)
    die_with_parent(given.lifeline)
    if given.verb == "facts":
        jsonio.write(given.answer, _answer(jsonio.read(facts.Question, given.question)))
        return
    if given.cores:
        os.sched_setaffinity(0, set(map(int, given.cores.split(","))))
    kept = Records(Workspace(given.workspace))
    begun = kept.read(given.identity)
    if begun is None:
        raise SystemExit(f"there is no record of the step {given.identity}")
    told_at, told = 0.0, ""

    def tell(phase: str) -> None:
        nonlocal told_at, told
        kind = phase.partition(" ")[0]  # a training tells each of its steps
        if kind != told or time.monotonic() - told_at > TELL_EVERY_S:
            told_at, told = time.monotonic(), kind
            kept.tell(given.identity, phase)

    kept.end(perform(begun, kept, tell))


def _answer(question: facts.Question) -> Answer:
    try:
        return Answer(facts.find(question))
    except EdgebenchError as error:
        return Answer(None, error.message, error.fix, isinstance(error, UsageError))
    except ModuleNotFoundError as error:
        missing = f"training needs the Python module {error.name!r}, which is not installed"
        return Answer(None, missing, "pip install 'edgebench[train]'")


if __name__ == "__main__":
    main(sys.argv[1:])
