"""Processes that evaluate: one a runtime, which is asked what it opens and then judges one artifact after another.

To load a runtime's library takes longer than to judge a small test split. Measurements have processes of their own.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection  # only its frames of bytes are used; nothing is ever unpickled
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.machine.children import Ending
from edgebench.measuring import process
from edgebench.records import jsonio, replacing
from edgebench.records.jobs import Job
from edgebench.records.probe import Probe, ProbeAnswers
from edgebench.records.result import Result
from edgebench.records.workspace import now
from edgebench.specs import Artifact

OWED = ("crashed", "out_of_memory")  # how an evaluation may end because of those before it in the same process


class Evaluator:
    """A worker of one runtime. `fresh` until it has judged an artifact; `alive` until it ends, or is ended."""

    def __init__(self, threads: int | None) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._child = process.start_worker(
                ["evaluate", str(theirs.fileno())], threads, timed=False, held=[theirs.fileno()]
            )
        self._connection = Connection(ours.detach())
        self.fresh = self.alive = True

    def send(self, **asked: str | int | None) -> None:
        with contextlib.suppress(OSError):  # it has ended, as `answer` will find
            self._connection.send_bytes(json.dumps(asked).encode())

    def answer(
        self, time_limit_s: float, memory_limit_mib: int | None = None,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> Ending:  # fmt: skip
        """Wait for the answer to what was sent. If it does not come: how the process ended, which is over then."""
        ending = self._child.wait_for(
            self._connection.fileno(), time_limit_s=time_limit_s, memory_limit_mib=memory_limit_mib, on_phase=on_phase
        )
        if ending is None:
            with contextlib.suppress(EOFError, OSError):
                self._connection.recv_bytes(0)
                return Ending(cause="exit", exit_code=0, log=self._child.said(), phase=self._child.phase)
            ending = self._child.wait(time_limit_s=time_limit_s)  # its end closed the connection
        self.close()
        return ending

    def close(self) -> None:
        """End it; may be called twice."""
        self.alive = False
        self._connection.close()
        self._child.stop()


class Evaluators:
    """One Evaluator for each runtime that is in use. An artifact that ends its process costs the others nothing."""

    def __init__(self) -> None:
        self._of: dict[str, Evaluator] = {}

    def ask(self, names: Sequence[str], threads: int | None, cores: int | None) -> list[Probe]:
        """Ask runtimes what they can do here, each in the process that will evaluate on it."""
        with replacing.scratch() as scratch:
            files = {name: Path(scratch, f"{name}.json") for name in names}
            for name, file in files.items():  # they load their libraries beside each other
                self._of[name] = Evaluator(threads)
                self._of[name].send(runtime=name, cores=cores, result=str(file))
            return [self._asked(name, file) for name, file in files.items()]

    def _asked(self, name: str, file: Path) -> Probe:
        ending = self._of[name].answer(process.probe_limit_s())
        try:
            (found,) = jsonio.read(ProbeAnswers, file).found
            return found
        except BadFile:
            return process.unanswered(name, ending)

    def keep(self, names: set[str]) -> None:
        """End the processes of all other runtimes: nothing is evaluated on them."""
        for name in set(self._of) - names:
            self._of.pop(name).close()

    def run_job(
        self, job: Job, artifact: Artifact, *, images: Path, answers: Path | None = None,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> Result:  # fmt: skip
        """As process.run_job. What may have failed because of the artifacts before it is tried in a fresh process."""
        found = self._of.get(job.runtime)
        fresh = found is None or not found.alive or found.fresh
        result = self._judged(job, artifact, images, answers, on_phase)
        if not fresh and result.status in OWED:
            result = self._judged(job, artifact, images, answers, on_phase)
        return result

    def _judged(
        self, job: Job, artifact: Artifact, images: Path, answers: Path | None, on_phase: Callable[[str], None]
    ) -> Result:
        created = now()
        if job.runtime not in self._of or not self._of[job.runtime].alive:
            self._of[job.runtime] = Evaluator(job.threads)
        worker = self._of[job.runtime]
        with replacing.scratch() as scratch:
            job_file, result_file = Path(scratch, "job.json"), Path(scratch, "result.json")
            jsonio.write(job_file, job)
            worker.fresh = False
            worker.send(
                job=str(job_file), artifact=str(artifact.path.resolve()), images=str(images), cores=job.cores,
                answers=str(answers) if answers else "", result=str(result_file),
            )  # fmt: skip
            ending = worker.answer(job.time_limit_s, job.memory_limit_mib, on_phase)
            result = process.result_of(job, artifact, result_file, ending, created)
        if result.status != "ok":  # what failed may have left its library in any state
            worker.close()
        return result

    def close(self) -> None:
        self.keep(set())
