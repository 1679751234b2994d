"""`python -m edgebench.sweeping.step_process`: does a step, or looks up facts, in a process of its own.

    python -m edgebench.sweeping.step_process perform WORKSPACE HASH [--cores 0,1]
    python -m edgebench.sweeping.step_process perform WORKSPACE HASH HASH...    measurements that race
    python -m edgebench.sweeping.step_process facts QUESTION.json ANSWER.json

A step may crash or use up all memory: that becomes its outcome, and the sweep goes on. If the sweep is killed, its
steps end with it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine.children import Child, Ending, end_with_parent, teller
from edgebench.records import jsonio, replacing
from edgebench.records.workspace import Workspace
from edgebench.sweeping import facts
from edgebench.sweeping.perform import perform, perform_race
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import StepOutcome

TELL_EVERY_S = 0.5


class StepProcess:
    """A process that does the step of a record that was just begun, or a race of several measurements. `stop` ends it
    without an outcome."""

    def __init__(
        self, begun: Sequence[StepOutcome], kept: Records, *, cores: Sequence[int] = (),
        environment: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._begun, self._kept = begun, kept
        identities = [one.step.identity for one in begun]
        chosen = ["--cores", ",".join(map(str, cores))] if cores else []
        self._child = Child(
            _command("perform", str(kept.workspace.root.absolute()), *identities, *chosen),
            environment=environment,
            log=kept.log_file(identities[0]),
            held=()
            if kept.lock is None
            else (kept.lock,),  # it holds the sweep's lock too: the next sweep waits until it is gone
        )

    def outcomes(self) -> list[StepOutcome] | None:
        """The outcome of each step, which is kept; None while it is under way."""
        ending = self._child.ended()
        return None if ending is None else [self._outcome(one, ending) for one in self._begun]

    def _outcome(self, begun: StepOutcome, ending: Ending) -> StepOutcome:
        found = self._kept.read(begun.step.identity)
        if found is not None and found.status != "running":
            return found
        status = "out_of_memory" if _killed(ending) else "crashed"
        return self._kept.end(
            replace(begun, status=status, message=_message(ending), log_tail=ending.log, seconds=None)
        )

    def stop(self) -> None:
        """End it and whatever it started; may be called twice."""
        self._child.stop()


def ask(question: facts.Question, on_weights: facts.Progress = lambda name, done, total: None) -> facts.Facts:
    """`facts.find` in a process of its own: this one stays without torch."""

    def phase(told: str) -> None:
        name, _, counts = told.partition(",")
        done, _, total = counts.partition(",")
        if done.isdigit() and total.isdigit():
            on_weights(name, int(done), int(total))

    with replacing.scratch() as scratch:
        asked, answer = Path(scratch, "asked.json"), Path(scratch, "answer.json")
        jsonio.write(asked, question)
        ending = Child(_command("facts", str(asked), str(answer))).wait(on_phase=phase)
        if not answer.is_file():
            raise EdgebenchError(
                f"the names in the plan could not be looked up: {_message(ending)}", "`edgebench doctor`"
            )
        found = jsonio.read(Answer, answer)
    if found.facts is None:
        raise (UsageError if found.usage else EdgebenchError)(found.error, found.fix)
    return found.facts


@dataclass(frozen=True)
class Answer:
    """The facts, or the error; `usage`: the error is a UsageError."""

    facts: facts.Facts | None = None
    error: str = ""
    fix: str = ""
    usage: bool = False


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "edgebench.sweeping.step_process", *arguments]


def _message(ending: Ending) -> str:
    """How a process ended that gave no answer."""
    if _killed(ending):
        return "its process was killed (SIGKILL), most likely because memory ran out"
    return f"its process {ending.how}" + (f": {ending.last_line}" if ending.cause == "exit" else "")


def _killed(ending: Ending) -> bool:
    return ending.cause == "out_of_memory" or ending.signal == "SIGKILL"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m edgebench.sweeping.step_process", description=__doc__.splitlines()[0]
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    performing = verbs.add_parser("perform")
    performing.add_argument("workspace", type=Path)
    performing.add_argument("identities", nargs="+", metavar="HASH")
    performing.add_argument("--cores", default="", help="the only ones to run on")
    asking = verbs.add_parser("facts")
    asking.add_argument("question", type=Path)
    asking.add_argument("answer", type=Path)
    given = parser.parse_args(arguments)
    end_with_parent()
    if given.verb == "facts":
        tell = teller()
        jsonio.write(
            given.answer,
            _answer(
                jsonio.read(facts.Question, given.question),
                lambda name, done, total: tell(f"{name},{done},{total}"),
            ),
        )
        return
    if given.cores:
        os.sched_setaffinity(0, set(map(int, given.cores.split(","))))
    kept = Records(Workspace(given.workspace))
    begun = [kept.read(identity) for identity in given.identities]
    if None in begun:
        raise SystemExit(f"there is no record of the step {given.identities[begun.index(None)]}")
    told_at, told = 0.0, ""

    def tell(phase: str) -> None:
        nonlocal told_at, told
        kind = phase.partition(" ")[0]  # a training reports each of its steps: that is too often to write down
        if kind != told or time.monotonic() - told_at > TELL_EVERY_S:
            told_at, told = time.monotonic(), kind
            for identity in given.identities:
                kept.tell(identity, phase)

    for outcome in perform_race(begun, kept, tell) if len(begun) > 1 else [perform(begun[0], kept, tell)]:
        kept.end(outcome)


def _answer(question: facts.Question, on_weights: facts.Progress) -> Answer:
    try:
        return Answer(facts.find(question, on_weights))
    except EdgebenchError as error:
        return Answer(None, error.message, error.fix, isinstance(error, UsageError))
    except ModuleNotFoundError as error:
        missing = f"training needs the Python module {error.name!r}, which is not installed"
        return Answer(None, missing, "pip install 'edgebench[train]'")


if __name__ == "__main__":
    main(sys.argv[1:])
