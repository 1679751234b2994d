"""`python -m edgebench.worker`: one job in, one result out, in a process of its own.

    python -m edgebench.worker measure JOB.json ARTIFACT_FOLDER RESULT.json
    python -m edgebench.worker probe RUNTIME PROBE.json

Nothing is read from stdin or said on stdout: a runtime may print there what it likes.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgebench import artifact as folder
from edgebench import evaluate, jsonio, measure, registry, stats
from edgebench.errors import BadFile, EdgebenchError, OutOfMemory, Unsupported
from edgebench.fingerprint import fingerprint, notices
from edgebench.jobs import Evidence, Job, MemoryPeaks, Notice, Result
from edgebench.memory import PeakMemory
from edgebench.specs import Artifact, Effective, Probe, SessionOptions
from edgebench.workspace import now

VERIFY_BATCHES = (1, 3)  # one, and one that the export did not see
REQUESTS = 8  # distinct inputs in rotation: enough that no cache holds one answer


def probe(name: str) -> Probe:
    """Load a runtime and ask what it can do here."""
    try:
        runtime = registry.load("runtimes", name)
        return Probe(name, tuple(sorted(runtime.accepts)), runtime.version(), runtime.devices())
    except EdgebenchError as error:
        return Probe(name, error=error.message, fix=error.fix)
    except Exception as error:  # an adapter from elsewhere may fail in any way
        return Probe(name, error=f"{type(error).__name__}: {error}", fix="reinstall its library")


def run_job(job: Job, artifact: Artifact, tell: Callable[[str], None] = lambda phase: None) -> Result:
    """Open the artifact, compare it with torch, then measure it; whatever goes wrong becomes the result's status."""
    if job.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    result = Result(job, artifact, "failed", job.evidence, now(), before=fingerprint())
    try:
        result = _measure(job, artifact, result, tell)
    except Unsupported as error:
        result = replace(result, status="unsupported", message=str(error))
    except MemoryError:
        result = replace(result, status="out_of_memory", message="an allocation failed (MemoryError)")
    except OutOfMemory as error:
        result = replace(result, status="out_of_memory", message=str(error))
    except EdgebenchError as error:
        result = replace(result, message=str(error))
    except Exception as error:  # an adapter from elsewhere may fail in any way; the traceback is kept
        message = f"{type(error).__name__}: {error}"
        result = replace(result, message=message, log_tail=traceback.format_exc()[-4000:])
    after = fingerprint()
    return replace(result, after=after, notices=result.notices + tuple(notices(result.before, after)))


def _measure(job: Job, artifact: Artifact, result: Result, tell: Callable[[str], None]) -> Result:
    if artifact.identity != job.artifact:
        raise BadFile(f"{artifact.path} is not the artifact that this job names", "run it again")
    reference = folder.read_reference(artifact)
    requests = _requests(artifact, reference.images, job.batch)
    options = SessionOptions(job.threads, job.precision, job.batch, job.options)
    peak = PeakMemory()

    tell("loading")
    peak.start_phase()
    runtime = registry.load("runtimes", job.runtime)
    if artifact.format not in runtime.accepts:
        raise Unsupported(
            f"{job.runtime} does not open {artifact.format} artifacts", f"it opens {', '.join(sorted(runtime.accepts))}"
        )
    with runtime.open(artifact, job.compute, options) as session:
        load_bytes = peak.peak_bytes()
        peak.start_phase()
        session.run(requests[0])
        first_bytes = peak.peak_bytes()

        samples = None
        if job.scenario == "latency":
            tell("measuring")
            peak.start_phase()
            samples = measure.measure_latency(
                session, requests,
                warmup_s=job.warmup_s, duration_s=job.duration_s, max_iterations=job.max_iterations,
            )  # fmt: skip
        effective = session.effective
        memory = MemoryPeaks(load_bytes, first_bytes, peak.peak_bytes(), peak.source, peak.reason)
        # Last, since other batch sizes would add to the memory of this one; wrong answers void what was measured.
        tell("verifying")
        parity = evaluate.check_parity(session, artifact, reference, sorted({*VERIFY_BATCHES, job.batch}))
        samples = samples if parity.passed else None
    return replace(
        result,
        status="ok" if parity.passed else "failed",
        message="" if parity.passed else f"its answers are not torch's: {evaluate.explain(parity)}",
        evidence=_evidence(job, effective),
        effective=effective,
        samples=samples,
        summary=stats.summarise(samples, job.batch) if samples else None,
        memory=memory,
        parity=parity,
        notices=_own_notices(job, effective),
    )


def _requests(artifact: Artifact, images: np.ndarray, batch: int) -> list[dict[str, np.ndarray]]:
    """Prepared inputs of `batch` real held-out images each, no two alike where there are images enough."""
    starts = range(0, max(1, min(len(images) - batch + 1, REQUESTS * batch)), batch)
    indices = np.arange(batch)
    return [
        {artifact.inputs[0].name: folder.preprocess(images[(start + indices) % len(images)], artifact.preprocessing)}
        for start in starts
    ]


def _evidence(job: Job, effective: Effective) -> Evidence:
    return "scripted" if effective.evidence == "scripted" else job.evidence


def _own_notices(job: Job, effective: Effective) -> tuple[Notice, ...]:
    if not (job.threads and effective.threads) or effective.threads == job.threads:
        return ()
    message = f"{job.threads} threads were asked for, {effective.threads} are used"
    return (Notice("threads_differ", message, f"--threads {effective.threads} says what is really run"),)


def _die_with_parent(lifeline: int) -> None:
    """End this process group when the parent's end of the pipe closes, be it by kill -9: no measurement is orphaned."""

    def wait() -> None:
        os.read(lifeline, 1)  # blocks without using the CPU; nothing is ever written, so it returns at end of file
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m edgebench.worker", description=__doc__.splitlines()[0])
    parser.add_argument("--lifeline", type=int, help="file descriptor that is at end of file once the parent is gone")
    parser.add_argument("--phases", type=int, help="file descriptor to write the names of the phases to")
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("measure")
    for name in ("job", "artifact", "result"):
        measuring.add_argument(name, type=Path)
    probing = verbs.add_parser("probe")
    probing.add_argument("runtime")
    probing.add_argument("result", type=Path)
    given = parser.parse_args(arguments)

    if given.lifeline is not None:
        _die_with_parent(given.lifeline)
    if given.verb == "probe":
        jsonio.write(given.result, probe(given.runtime))
        return 0

    def tell(phase: str) -> None:
        if given.phases is not None:
            os.write(given.phases, phase.encode() + b"\n")

    result = run_job(jsonio.read(Job, given.job), folder.read(given.artifact), tell)
    jsonio.write(given.result, result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
