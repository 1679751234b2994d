"""Runs jobs in worker processes on this machine, with a time and a memory limit, and explains however they end."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from edgebench.errors import BadFile, UsageError
from edgebench.machine import registry, scenario_registry
from edgebench.machine.children import Child, Ending
from edgebench.machine.registry import AdapterKind
from edgebench.records import jsonio, replacing
from edgebench.records.jobs import Job, Status
from edgebench.records.probe import Probe, ProbeAnswers
from edgebench.records.result import Result
from edgebench.records.workspace import now
from edgebench.specs import Artifact

PROBE_LIMIT = "EDGEBENCH_PROBE_LIMIT"  # an environment variable: the seconds that loading the libraries may take
PROBE_LIMIT_S = 180.0  # by default; a slow board with a slow card takes longer than a minute
DOING = ("loading", "measuring", "verifying", "evaluating")  # phases of worker.py that a message can name


def run_job(
    job: Job, artifact: Artifact, *, verify: bool = True, images: Path | None = None, answers: Path | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Result:  # fmt: skip
    """Run a job once, in a worker of its own. Never raises for what the worker does: each kind of failure is a status.

    `images` is the file of the test set, for the scenario "evaluate"; `answers` one for the answers to it.
    """
    created = now()
    with replacing.scratch() as scratch:
        job_file, result_file = Path(scratch, "job.json"), Path(scratch, "result.json")
        jsonio.write(job_file, job)
        arguments = ["measure", *([] if verify else ["--no-verify"]), *(["--images", str(images)] if images else [])]
        arguments += ["--answers", str(answers)] if answers else []
        arguments += [str(job_file), str(artifact.path.resolve()), str(result_file)]
        ending = start_worker(arguments, job.threads, timed=scenario_registry.load(job.scenario).timed).wait(
            time_limit_s=job.time_limit_s, memory_limit_mib=job.memory_limit_mib, on_phase=on_phase
        )
        return result_of(job, artifact, result_file, ending, created)


def result_of(job: Job, artifact: Artifact, result_file: Path, ending: Ending, created: str) -> Result:
    """What a worker wrote; or if it wrote nothing, the status that its ending stands for."""
    try:
        result = jsonio.read(Result, result_file)
        # A worker that wrote its result and then crashed in a library's clean-up has still measured.
        return replace(result, artifact=artifact.for_result, log_tail=result.log_tail or ending.log)
    except BadFile as error:
        status, message = _classify(ending, job, error)
    return Result(
        job=job, artifact=artifact.for_result, status=status, evidence=job.evidence, created=created, message=message,
        log_tail=ending.log,
    )  # fmt: skip


def _classify(ending: Ending, job: Job, error: BadFile) -> tuple[Status, str]:
    if ending.cause == "timeout":
        doing = f" while {ending.phase}" if ending.phase in DOING else ""
        return "timeout", f"stopped after the time limit of {job.time_limit_s:g} s{doing} (raise it with --time-limit)"
    if ending.cause == "out_of_memory":
        limit = f"the limit of {job.memory_limit_mib} MiB" if job.memory_limit_mib else "the machine's memory"
        return "out_of_memory", f"stopped at {ending.peak_rss_mib} MiB of resident memory, beyond {limit}"
    if ending.cause == "signal":
        return "crashed", f"the worker {ending.how}"
    if ending.exit_code:
        return "crashed", f"the worker {ending.how}: {ending.last_line}"
    return "crashed", f"the worker ended without a result: {error.message}"


def probe_all(names: list[str] | None = None) -> list[Probe]:
    """Ask runtimes what they can do here."""
    return probe([("runtimes", name) for name in (registry.names("runtimes") if names is None else names)])


def probe(adapters: Sequence[tuple[AdapterKind, str]]) -> list[Probe]:
    """Ask adapters what they can do here, in a process that a crashing library may take down.

    All in one, since they share libraries that take seconds to load. Those that are not answered in it, because it
    crashed or another's library may be to blame, are asked once more, each in a process of its own.
    """
    found, _ = _probe(adapters)
    with ThreadPoolExecutor(max_workers=4) as pool:
        return [*found, *pool.map(_probe_alone, adapters[len(found) :])]


def _probe_alone(adapter: tuple[AdapterKind, str]) -> Probe:
    found, ending = _probe([adapter])
    if found:
        return found[0]
    return unanswered(adapter[1], ending)


def unanswered(name: str, ending: Ending) -> Probe:
    """What stands for the answer of an adapter whose process ended without one."""
    if ending.cause == "timeout":
        message = f"its library was not loaded within {probe_limit_s():g} s: this machine is slow or busy, or it hangs"
        return Probe(name=name, error=message, fix=f"try again, or give it more time: {PROBE_LIMIT}=600")
    message = f"its process {ending.how}: {ending.log.strip()[-300:]}"
    return Probe(name=name, error=message, fix="reinstall its library")


def probe_limit_s() -> float:
    """How long an adapter may take to load its library. Raises UsageError if what is set is no number."""
    said = os.environ.get(PROBE_LIMIT) or str(PROBE_LIMIT_S)
    if not re.fullmatch(r"\d{1,6}(\.\d*)?", said):
        raise UsageError(f"{PROBE_LIMIT} is no number of seconds", f"for example {PROBE_LIMIT}=600")
    return max(1.0, float(said))


def _probe(adapters: Sequence[tuple[AdapterKind, str]]) -> tuple[list[Probe], Ending]:
    """The answers that came in one process, those of the first ones, and how it ended."""
    with replacing.scratch() as scratch:
        file = Path(scratch, "probes.json")
        words = [word for adapter in adapters for word in adapter]
        ending = start_worker(["probe", str(file), *words], None).wait(time_limit_s=probe_limit_s())
        try:
            return list(jsonio.read(ProbeAnswers, file).found), ending
        except BadFile:
            return [], ending


def start_worker(
    arguments: list[str], threads: int | None, *, timed: bool = True, held: Sequence[int] = ()
) -> Child:  # fmt: skip
    """A worker with these arguments; it inherits the file descriptors `held`."""
    # OpenMP reads these before any adapter can set them. Its threads wait for each other by spinning: beside other
    # programs that takes up to ten times the CPU of what is computed. Where nothing is timed, they sleep.
    environment = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    environment |= {} if timed else {"OMP_WAIT_POLICY": "passive"}
    return Child([sys.executable, "-m", "edgebench.measuring.worker", *arguments], environment=environment, held=held)
