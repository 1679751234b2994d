"""Measures one artifact alternately with edgebench and with the vendors' own tools: do the figures agree?"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgebench import artifact
from edgebench.comparing import ab, ratio
from edgebench.comparing.rivals import benchmark_app, benchmark_litert, perf_test, trtexec
from edgebench.errors import EdgebenchError, UsageError, positive, unknown_name
from edgebench.machine import locks, registry
from edgebench.machine.device import detect, place
from edgebench.measuring import alternating, process, running
from edgebench.measuring.options import RunOptions
from edgebench.records import replacing
from edgebench.records.jobs import Job
from edgebench.results import stats
from edgebench.specs import Artifact

TRTEXEC_ABSENT = "trtexec is not installed here (JetPack has it in /usr/src/tensorrt/bin)"
PERF_TEST_ABSENT = "onnxruntime_perf_test is not on PATH (no package has it: ONNX Runtime's build makes it)"
LITERT_ABSENT = "this LiteRT has no benchmark_litert_model (pip install ai-edge-litert ml_dtypes)"
SHARES = {"median_ns": 0.5, "p90_ns": 0.9}  # of the requests, what takes at most as long as the figure
HERE = Path(__file__).parent / "rivals"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One figure, edgebench's and a rival's. `ratio` is ours ÷ theirs; `fastest_ratio` that of the fastest rounds.

    `rounds`: turns of whole runs, or launches of alternating bursts. If there is a `reason`, nothing was compared.
    """

    rival: str
    figure: str
    ours: float | None = None
    theirs: float | None = None
    ratio: ratio.Ratio | None = None
    fastest_ratio: float | None = None
    rounds: int = 0
    reason: str = ""


Told = Callable[[str], None]
Check = Callable[..., Agreement]


def crosscheck(
    job: Job,
    found: Artifact,
    rivals: Sequence[str],
    *,
    rounds: int,
    max_seconds: float,
    tell: Told = lambda stage: None,
    on_wait: Callable[[], None] = lambda: None,
) -> list[Agreement]:
    """Compare the figures of `job` with those of each rival that can open the artifact here.

    Bare loops run in alternating bursts for up to `max_seconds` each; whole programs run `rounds` times, in turn with
    edgebench and in swapped order each time. A rival that cannot be compared has a reason.
    """
    made = []
    for rival in rivals:
        tell(rival)
        try:
            if rival not in fitting(job):
                raise EdgebenchError(f"it does not run {job.runtime}; {', '.join(fitting(job))} can")
            made.append(RIVALS[rival].check(rival, job, found, rounds, max_seconds, tell, on_wait))
        except EdgebenchError as error:
            made.append(Agreement(rival=rival, figure="", reason=str(error)))
    return made


def crosscheck_artifact(
    found: Artifact, rivals: Sequence[str] = (), *, runtime: str | None = None, rounds: int = 15,
    max_seconds: float = 60.0, tell: Told = lambda stage: None, on_wait: Callable[[], None] = lambda: None,
    **options: Any,
) -> list[Agreement]:  # fmt: skip
    """The same for an artifact on this machine, and by default for all rivals that run the runtime.

    `options`: the batch, threads and duration_s of `RunOptions`. Raises UsageError for what cannot be meant.
    """
    positive("--max-seconds", max_seconds)
    if rounds < 2:
        fix = f"give at least 2; {ratio.FEWEST_RANKED} for an interval, and 15 for one that says something"
        raise UsageError(f"--rounds is {rounds}", fix)
    check_rivals(rivals)
    profile = detect()
    placement = place(profile, require_device=True, environ={})
    asked = RunOptions(runtimes=(runtime or registry.native(found.format),), **options)
    (planned,) = running.plan([found], profile, placement, asked)
    return crosscheck(
        planned.job, found, rivals or fitting(planned.job), rounds=rounds, max_seconds=max_seconds, tell=tell,
        on_wait=on_wait,
    )  # fmt: skip


def check_rivals(names: Sequence[str]) -> None:
    """Raise UsageError for a name that no rival has."""
    for name in names:
        if name not in RIVALS:
            raise unknown_name("rival", name, RIVALS)


def fitting(job: Job) -> list[str]:
    """The rivals that run the runtime of this job."""
    return [name for name, rival in RIVALS.items() if rival.runtime in (None, job.runtime)]


def _bare_loop(
    rival: str, job: Job, found: Artifact, rounds: int, max_seconds: float, tell: Told, on_wait: Callable[[], None]
) -> Agreement:
    if job.compute != "cpu" or job.precision not in ("fp32", "int8"):
        raise EdgebenchError(f"the bare loop runs fp32 and int8 on the CPU, not {job.precision} on {job.compute}")
    suffix = registry.facts("runtimes", job.runtime).suffixes[found.format]
    path = artifact.model_file(found, suffix).resolve()
    names = [spec.name for spec in found.inputs]
    if not names:
        raise EdgebenchError("the bare loop needs an input, and the model has none")

    def bare(scratch: Path, *, verify: bool) -> alternating.Contestant:
        inputs, requests = scratch / "inputs.npz", artifact.requests(found, job.batch)
        arrays = {f"{i}-{j}": each[name] for i, each in enumerate(requests) for j, name in enumerate(names)}
        np.savez(inputs, **arrays)
        command = [sys.executable, str(LOOPS[rival]), str(path), str(inputs), json.dumps(names), str(job.threads)]
        return alternating.Contestant(rival, command, {"OMP_NUM_THREADS": str(job.threads)})

    def told(launches: int, so_far: ratio.Ratio | None) -> None:
        tell(f"{rival}: launch {launches}" + (f", ours ÷ theirs {so_far.ratio:.3f}" if so_far else ""))

    came = ab.compare(
        bare, partial(alternating.contestant, job, found), max_seconds=max_seconds, on_launch=told, on_wait=on_wait
    )
    fastest = came.new_fastest_ns / max(1, came.base_fastest_ns)
    return Agreement(
        rival=rival, figure="median_ns", ours=came.new_median_ns, theirs=came.base_median_ns, ratio=came.ratio,
        fastest_ratio=fastest, rounds=len(came.launches),
    )  # fmt: skip


def _by_turns(
    figure: str,
    ours: Callable[[Path], dict[str, float]],
    theirs: Callable[[Path], dict[str, float]],
    rival: str,
    rounds: int,
    tell: Told,
    on_wait: Callable[[], None],
) -> Agreement:
    """Whole runs in turn. The interval is that of the rounds' ratios, as for launches of bursts."""
    found: tuple[list[float], list[float]] = ([], [])
    with replacing.scratch() as scratch, locks.device_to_ourselves(on_wait):
        for turn in range(rounds):
            tell(f"{rival}: round {turn + 1} of {rounds}")
            for side in (0, 1) if turn % 2 == 0 else (1, 0):
                found[side].append((ours, theirs)[side](Path(scratch))[figure])
    best = max if figure.endswith("_per_s") else min
    between = ratio.of_ratios([a / b for a, b in zip(*found, strict=True)]) if rounds > 1 else None
    return Agreement(
        rival=rival, figure=figure, ours=float(np.median(found[0])), theirs=float(np.median(found[1])), ratio=between,
        fastest_ratio=best(found[0]) / best(found[1]), rounds=rounds,
    )  # fmt: skip


def _ours(job: Job, found: Artifact, figure: str, scratch: Path) -> dict[str, float]:
    result = process.run_job(job, found, verify=False)
    summary = stats.summarise(result.launches, job.batch) if result.status == "ok" else None
    if summary is None:
        raise EdgebenchError(f"edgebench's own run failed: {result.status} {result.message}")
    if (value := getattr(summary, figure)) is None:
        least = stats.min_samples(SHARES[figure])
        longer = math.ceil(1.5 * job.duration_s * least / summary.n)
        name = figure.removesuffix("_ns")
        told = f"a run of {job.duration_s:g} s makes {summary.n} requests, and its {name} takes {least}"
        raise EdgebenchError(told, f"--duration {longer}")
    return {figure: float(value)}


def _benchmark_app(
    rival: str, job: Job, found: Artifact, rounds: int, max_seconds: float, tell: Told, on_wait: Callable[[], None]
) -> Agreement:
    if benchmark_app.program() is None:
        raise EdgebenchError("benchmark_app is not installed (pip install openvino)")
    figure = "median_ns"
    if rival.endswith("throughput"):
        figure = "throughput_per_s"
        job = replace(job, scenario="throughput", streams=job.threads or 1)
    return _by_turns(
        figure, partial(_ours, job, found, figure), partial(benchmark_app.run, job, found), rival, rounds, tell, on_wait
    )


def _program(tool: Any, absent: str) -> Check:
    """What runs a tool of rivals/ that reports a median: whole runs, in turn with ours."""

    def check(
        rival: str, job: Job, found: Artifact, rounds: int, max_seconds: float, tell: Told, on_wait: Callable[[], None]
    ) -> Agreement:
        if tool.program() is None:
            raise EdgebenchError(absent)
        ours, theirs = partial(_ours, job, found, "median_ns"), partial(tool.run, job, found)
        return _by_turns("median_ns", ours, theirs, rival, rounds, tell, on_wait)

    return check


def _loadgen(
    rival: str, job: Job, found: Artifact, rounds: int, max_seconds: float, tell: Told, on_wait: Callable[[], None]
) -> Agreement:
    """MLPerf's single stream makes one request at a time, as edgebench does, and reports the 90th percentile."""
    query = replace(job, scenario="single-stream")

    def theirs(scratch: Path) -> dict[str, float]:
        result = process.run_job(query, found, verify=False)
        verdict = result.launches[0].loadgen if result.status == "ok" else None
        if verdict is None or "p90_latency_ns" not in verdict.figures:
            raise EdgebenchError(
                f"LoadGen's run has no p90: {result.message or 'too few queries; use a longer --duration'}"
            )
        return {"p90_ns": verdict.figures["p90_latency_ns"]}

    return _by_turns("p90_ns", partial(_ours, job, found, "p90_ns"), theirs, rival, rounds, tell, on_wait)


@dataclass(frozen=True)
class Rival:
    """A tool to compare with: the runtime that it runs (None: any), and the function that compares."""

    runtime: str | None
    check: Check


# A file rivals/bare_RUNTIME.py is the bare loop of that runtime; the other files there name their runtime.
LOOPS = {f"{path.stem.removeprefix('bare_')}-loop": path for path in sorted(HERE.glob("bare_*.py"))}
RIVALS = {
    **{name: Rival(name.removesuffix("-loop"), _bare_loop) for name in LOOPS},
    "benchmark_app": Rival(benchmark_app.RUNTIME, _benchmark_app),
    "benchmark_app-throughput": Rival(benchmark_app.RUNTIME, _benchmark_app),
    "perf_test": Rival(perf_test.RUNTIME, _program(perf_test, PERF_TEST_ABSENT)),
    "benchmark_litert_model": Rival(benchmark_litert.RUNTIME, _program(benchmark_litert, LITERT_ABSENT)),
    "trtexec": Rival(trtexec.RUNTIME, _program(trtexec, TRTEXEC_ABSENT)),
    "loadgen": Rival(None, _loadgen),
}
