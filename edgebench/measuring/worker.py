"""`python -m edgebench.measuring.worker`: one job in, one result out, in a process of its own.

    python -m edgebench.measuring.worker measure JOB.json FOLDER RESULT.json [--images TESTSET [--answers FILE]]
    python -m edgebench.measuring.worker measure JOB.json FOLDER RESULT.json --turns SOCKET
    python -m edgebench.measuring.worker probe PROBES.json KIND NAME [KIND NAME …]
    python -m edgebench.measuring.worker bursts JOB.json FOLDER SOCKET
    python -m edgebench.measuring.worker evaluate SOCKET

Nothing is read from stdin or written to stdout: runtimes may print there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection  # only its frames of bytes are used; nothing is ever unpickled
from pathlib import Path

from edgebench import artifact as folder
from edgebench.errors import BadFile, EdgebenchError, OutOfMemory, Unsupported, VerificationFailed
from edgebench.machine import registry, scenario_registry, yardstick
from edgebench.machine.children import end_with_parent, teller
from edgebench.machine.disturbances import notices
from edgebench.machine.fingerprint import fingerprint
from edgebench.machine.foreign_load import ForeignLoad
from edgebench.machine.gpu_memory import GpuMemory
from edgebench.machine.memory import PeakMemory
from edgebench.measuring import agreement, judging, loop, probing, serving
from edgebench.measuring.turns import burst, performer
from edgebench.records import jsonio
from edgebench.records.answers import Evaluation
from edgebench.records.batches import batch_refused, only_batch
from edgebench.records.beside import slower
from edgebench.records.jobs import Evidence, Job
from edgebench.records.notices import Notice, notice
from edgebench.records.probe import ProbeAnswers
from edgebench.records.result import Launch, Measured, MemoryPeaks, Result
from edgebench.records.workspace import now
from edgebench.specs import Artifact, Effective, Layers, SessionOptions

VERIFY_BATCHES = (1, 3)  # one, and one that the export did not use


def run_job(
    job: Job, artifact: Artifact, *, verify: bool = True, images: Path | None = None, answers: Path | None = None,
    turns: Connection | None = None, tell: Callable[[str], None] = lambda phase: None,
) -> Result:  # fmt: skip
    """Open the artifact, measure it, then compare its answers. Every failure becomes the result's status.

    `images` is the test set (see testset.py) that the scenario "evaluate" needs, and `answers` a file for the answers
    to it. `turns`: the connection over which another process asks for bursts (turns.py), instead of a loop of the
    scenario's own.
    """
    if job.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    result = Result(job=job, artifact=artifact.for_result, status="failed", evidence=job.evidence, created=now())
    try:
        return _measure(job, artifact, result, verify, images, answers, turns, tell)
    except Unsupported as error:
        return replace(result, status="unsupported", message=str(error))
    except MemoryError:
        return replace(result, status="out_of_memory", message="an allocation failed (MemoryError)")
    except OutOfMemory as error:
        return replace(result, status="out_of_memory", message=str(error))
    except EdgebenchError as error:
        return replace(result, message=str(error))
    except Exception as error:  # another author's adapter may fail in any way; the traceback is kept
        message = f"{type(error).__name__}: {error}"
        return replace(result, message=message, log_tail=traceback.format_exc()[-4000:])


def _measure(
    job: Job, artifact: Artifact, result: Result, verify: bool, images: Path | None, answers: Path | None,
    turns: Connection | None, tell: Callable[[str], None],
) -> Result:  # fmt: skip
    if artifact.identity != job.artifact:
        raise BadFile(f"{artifact.path} is not the artifact of this job", "run it again")
    scenario = scenario_registry.load(job.scenario)
    batches = _batches_to_verify(job, artifact)
    before = fingerprint()
    requests = folder.requests(artifact, job.batch)
    options = SessionOptions(
        threads=job.threads, precision=job.precision, batch=job.batch, streams=job.streams, extra=job.options
    )
    peak = PeakMemory()
    gpu = GpuMemory() if job.compute == "cuda" else None

    tell("loading")
    peak.start_phase()
    began = time.perf_counter_ns()
    with contextlib.nullcontext() if scenario.timed else loop.collection_off():  # a sixth of what imports take
        runtime = registry.load("runtimes", job.runtime)
    if artifact.format not in runtime.accepts:
        raise Unsupported(
            f"{job.runtime} does not open {artifact.format} artifacts", f"it opens {', '.join(sorted(runtime.accepts))}"
        )
    with runtime.open(artifact, job.compute, options) as session:
        load_ns, load_bytes = time.perf_counter_ns() - began, peak.peak_bytes()
        peak.start_phase()
        began = time.perf_counter_ns()
        session.run(requests[0])
        first_ns = time.perf_counter_ns() - began
        first_bytes = peak.peak_bytes()
        if gpu:
            gpu.look()

        measured = Measured()
        foreign, yardsticks = None, []
        if scenario.perform:
            yardsticks = [yardstick.take()]
            peak.start_phase()
            watch = None if turns else ForeignLoad()  # in turns, the others would count
            tell("measuring")
            perform = performer(turns) if turns else scenario.perform
            measured = perform(session, requests, job, tell)
            foreign = watch.notice() if watch else None
        effective = session.effective
        memory = peak.composed(
            MemoryPeaks(
                load_bytes=load_bytes,
                first_inference_bytes=first_bytes,
                steady_bytes=peak.peak_bytes(),
                source=peak.source,
                reason=peak.reason,
            )
        )
        yardsticks += [yardstick.take()] if yardsticks else []
        if gpu:
            gpu.look()
            memory = replace(memory, gpu_bytes=gpu.bytes, gpu_source=gpu.source)
        after = fingerprint()
        # Last, because other batch sizes would add to the peak memory of this one; wrong answers discard what was
        # measured.
        parity, layers = None, ()
        if verify:
            tell("verifying")
            parity = agreement.check(session, artifact, batches)
            layers = tuple(session.layers())
        if images:
            tell("evaluating")
            judged = judging.judge(session, artifact, images, job.batch, tell, answers)
            result = replace(result, evaluation=judged)
    result = replace(result, evidence=_evidence(job, effective), parity=parity)
    launch = Launch(
        effective=effective, memory=memory, layers=layers, before=before, after=after, load_ns=load_ns,
        first_ns=first_ns,
    )  # fmt: skip
    wrong = agreement.wrong(artifact, parity) if parity is not None else ""
    if wrong and not job.unverified:
        return replace(result, launches=(launch,), message=wrong)
    if job.strict and (strayed := _fallback(layers, effective)):
        return replace(result, launches=(launch,), message=strayed)
    if result.evaluation and result.evaluation.non_finite:
        message = f"{result.evaluation.non_finite} of its logits on the test split are NaN or infinite"
        return replace(result, launches=(launch,), message=message)
    own = _own_notices(job, effective, wrong, _fallback(layers, effective), result.evaluation)
    own += slower(artifact.beside_fp32, job.runtime, job.precision, before)
    own += agreement.notices(artifact, parity)
    seen = (*measured.notices, foreign, *notices(before, after), *own)
    launch = replace(
        launch,
        samples=measured.samples,
        windows=measured.windows,
        loadgen=measured.loadgen,
        extra=measured.extra,
        notices=tuple(one for one in seen if one),
        yardsticks=tuple(found for found in yardsticks if found),
    )
    return replace(result, status="ok", launches=(launch,))


def serve_bursts(job: Job, artifact: Artifact, connection: Connection, *, verify: bool) -> None:
    """Open the artifact, send what it runs, then run bursts on request until the other side closes (alternating.py)."""
    requests = folder.requests(artifact, job.batch)
    options = SessionOptions(
        threads=job.threads, precision=job.precision, batch=job.batch, streams=job.streams, extra=job.options
    )
    try:
        batches = _batches_to_verify(job, artifact)
        session = registry.load("runtimes", job.runtime).open(artifact, job.compute, options)
        if verify:
            parity = agreement.check(session, artifact, batches)
            if wrong := agreement.wrong(artifact, parity):
                raise VerificationFailed(wrong)
    except EdgebenchError as error:
        connection.send_bytes(jsonio.dumps({"error": error.message, "fix": error.fix}).encode())
        return
    with session, loop.collection_off(), contextlib.suppress(EOFError):  # the other side closed the connection
        loop.loop(session.run, requests, job.warmup_s, job.max_iterations)
        connection.send_bytes(jsonio.dumps({"effective": session.effective}).encode())
        while True:
            samples, _ = burst(session, requests, int(connection.recv_bytes(20)))
            connection.send_bytes(samples.tobytes())


def _batches_to_verify(job: Job, artifact: Artifact) -> list[int]:
    """The batch sizes to compare. Raises Unsupported if the model's batch is fixed and is not the job's.

    An evaluation asks at one size alone, and three would take longer than its pictures.
    """
    if refused := batch_refused(artifact, job.batch):
        raise Unsupported(*refused)
    if job.scenario == "evaluate":
        return [job.batch]
    return sorted({*VERIFY_BATCHES, job.batch}) if only_batch(artifact) is None else [job.batch]


def _evidence(job: Job, effective: Effective) -> Evidence:
    return "scripted" if effective.evidence == "scripted" else job.evidence


def _fallback(layers: Sequence[Layers], effective: Effective) -> str:
    """A sentence on the layers that do not run on the session's provider; empty if there are none."""
    strayed = [some for some in layers if some.provider != effective.provider]
    count, total = (sum(some.count for some in which) for which in (strayed, layers))
    where = ", ".join(sorted({some.provider for some in strayed}))
    return f"{count} of {total} layers ({count / total:.1%}) fell back to {where}" if strayed else ""


def _own_notices(
    job: Job, effective: Effective, wrong: str, strayed: str, evaluation: Evaluation | None
) -> list[Notice]:
    found = []
    if job.threads and effective.threads and effective.threads != job.threads:
        found.append(notice("threads_differ", asked=job.threads, used=effective.threads))
    if wrong:
        found.append(notice("unverified", wrong=wrong))
    if strayed:
        found.append(notice("fallback", strayed=strayed))
    if evaluation and evaluation.changed:
        found.append(notice("unrepeatable", given_again=evaluation.given_again, changed=evaluation.changed))
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m edgebench.measuring.worker", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    measuring = verbs.add_parser("measure")
    measuring.add_argument("--no-verify", action="store_true", help="an earlier launch of this job has verified it")
    measuring.add_argument("--images", type=Path, help="the test set to evaluate on")
    measuring.add_argument("--answers", type=Path, help="a file for the answers to it")
    measuring.add_argument("--turns", type=int, help="file descriptor of a socket over which bursts are asked for")
    for name in ("job", "artifact", "result"):
        measuring.add_argument(name, type=Path)
    asking = verbs.add_parser("probe")
    asking.add_argument("result", type=Path)
    asking.add_argument("adapters", nargs="+", help="the kind and the name of each")
    bursting = verbs.add_parser("bursts")
    bursting.add_argument("--no-verify", action="store_true", help="an earlier launch has verified it")
    for name in ("job", "artifact"):
        bursting.add_argument(name, type=Path)
    bursting.add_argument("connection", type=int, help="file descriptor of a socket")
    evaluating = verbs.add_parser("evaluate")
    evaluating.add_argument("connection", type=int, help="file descriptor of a socket")
    given = parser.parse_args(arguments)

    end_with_parent()
    tell = teller()
    if given.verb == "probe":
        found = []
        with loop.collection_off():  # it takes a sixth of what their imports take
            for answer in probing.probes(list(zip(given.adapters[::2], given.adapters[1::2], strict=True))):
                found.append(answer)  # each is written at once: a later one may end this process
                jsonio.write(given.result, ProbeAnswers(tuple(found)))
        return 0

    if given.verb == "evaluate":
        serving.serve(Connection(given.connection), run_job, tell)
        return 0

    job, artifact = jsonio.read(Job, given.job), folder.read(given.artifact)
    if given.verb == "bursts":
        serve_bursts(job, artifact, Connection(given.connection), verify=not given.no_verify)
        return 0

    turns = Connection(given.turns) if given.turns is not None else None
    result = run_job(
        job, artifact, verify=not given.no_verify, images=given.images, answers=given.answers, turns=turns, tell=tell
    )
    jsonio.write(given.result, result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
