"""The process that opens a foreign model (opening.py), for the one that asks: started before the question is ready.

It loads what opens a model while the parent loads what reads the request. So this file imports little itself.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.machine.children import Child
from edgebench.records import replacing

if TYPE_CHECKING:
    from edgebench.adopting.asked import Adoption
    from edgebench.specs import Artifact

LIMIT_S = 120.0  # for opening the model, and for each answer; as for a launch beside its measuring
TOLD_EVERY_S = 5
ASKED, ANSWER = "asked.json", "answer.json"  # in the folder that both processes know


class Opener:
    """A process that waits for one question. `with` ends it, whether it was asked or not."""

    def __init__(self) -> None:
        self._ours = contextlib.ExitStack()
        self._exchange = self._ours.enter_context(replacing.scratch())
        there, here = os.pipe()
        self._out = os.fdopen(here, "wb", buffering=0)  # tells the folder, and so that there is a question
        command = [sys.executable, "-m", "edgebench.adopting.opening", str(there), str(self._exchange)]
        try:
            self._child = Child(command, held=[there])
        except BaseException:
            self._forget()
            raise
        finally:
            os.close(there)

    def made(
        self, asked: Adoption, out: Path, *, time_limit_s: float = LIMIT_S,
        tell: Callable[[str], None] = lambda stage: None,
    ) -> Artifact:  # fmt: skip
        """The artifact, whose files are in the folder `out` then. Raises whatever went wrong in the process.

        `time_limit_s`: for each of the stages that `tell` hears.
        """
        import psutil

        from edgebench.adopting.asked import AdoptionAnswer
        from edgebench.errors import BadFile, EdgebenchError, OutOfMemory, Unsupported, UsageError
        from edgebench.records import jsonio

        memory_mib = int(psutil.virtual_memory().total * 0.9 / 2**20)
        stage, told_s = "starting", 0

        def begin(phase: str) -> None:
            nonlocal stage, told_s
            stage, told_s = phase, 0
            tell(stage)

        def wait(seconds: float) -> None:
            nonlocal told_s
            if seconds >= told_s + TOLD_EVERY_S:
                told_s = int(seconds)
                tell(f"{stage}: {told_s} s, of at most {time_limit_s:g}")

        jsonio.write(self._exchange / ASKED, asked)
        with contextlib.suppress(BrokenPipeError):  # it has ended: what it said is told below
            self._out.write(os.fsencode(out.resolve()))
            self._out.close()
        ending = self._child.wait(
            phase_limit_s=time_limit_s, memory_limit_mib=memory_mib, on_phase=begin, on_wait=wait
        )  # fmt: skip
        try:
            answer = jsonio.read(AdoptionAnswer, self._exchange / ANSWER)
        except BadFile:
            not_adopted = f"{asked.file} was not adopted"
            if ending.cause == "timeout":
                raise EdgebenchError(
                    f"{not_adopted}: {stage} took more than {time_limit_s:g} s",
                    f"if it is only slow: edgebench adopt {shlex.quote(asked.file)} --time-limit {2 * time_limit_s:g}. "
                    "A loop in the model may not end with such inputs: give real ones with --inputs",
                ) from None
            what = f"{not_adopted}: the process that opened it {ending.how}"
            if ending.cause == "out_of_memory":
                raise OutOfMemory(what, "smaller sizes: --shape INPUT=…") from None
            fix = "smaller sizes: --shape INPUT=…, if its inputs are large; else another version of the runtime"
            raise Unsupported(f"{what} ({ending.last_line})", fix) from None
        if answer.artifact is not None:
            return answer.artifact
        raise (UsageError if answer.usage else BadFile)(answer.error, answer.fix)

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.stop()
        self._forget()

    def _forget(self) -> None:
        self._out.close()
        self._ours.close()
