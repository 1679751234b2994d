"""`tune`: searches runtime × precision × threads × options × batch × requests in flight for the best of a network."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgebench.choosing.relatives import export_missing
from edgebench.choosing.tuned import Goal, Trial, Tuned
from edgebench.errors import EdgebenchError, UsageError, VerificationFailed
from edgebench.exporting.deployable import judge, judging_images
from edgebench.machine import locks, registry
from edgebench.machine.device import Profile, available_cores, detect, load_profile, place
from edgebench.measuring import process
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned, plan
from edgebench.racing.race import RaceOptions, race
from edgebench.records import jsonio
from edgebench.records.batches import only_batch
from edgebench.records.jobs import Job
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace, now
from edgebench.results import stats
from edgebench.specs import Artifact, Precision
from edgebench.training import halving

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8", "bf16")  # tried if none is named
ROUNDS = (0.1, 0.3, 1.0)  # of the measuring time in each round
RACE = (1 / 3, 20.0)  # of it, the bursts of a launch at least, and the whole race at most, for latency on the CPU
PATIENCE = 2.0  # times that, as long as too few launches are made to decide anything
BATCHES = (1, 4, 16)  # tried for throughput


def tune(
    start: Artifact, workspace: Workspace, *, device: str | None = None, goal: Goal = "latency",
    precisions: Sequence[Precision] = (), accuracy_drop: float = 0.01, runtimes: tuple[str, ...] = (),
    compute: str | None = None, duration_s: float = 3.0, export: bool = True, images: Path | None = None,
    calibration: Sequence[Path] = (),
    on_phase: Callable[[str], None] = lambda phase: None, on_wait: Callable[[], None] = lambda: None,
    on_left_out: Callable[[str], None] = lambda sentence: None,
) -> Tuned:  # fmt: skip
    """Find the fastest setting of a network on a device, and keep it in the workspace for `edgebench run --tuned`.

    `start`: the network's checkpoint, or an artifact of it, or an adopted model. With `export`, missing artifacts are
    exported first, in `precisions` (by default fp32, int8 and bf16); fp32, or what an adopted model came in, is
    measured in any case, to compare with. `accuracy_drop`: the share of the validation images that a lower precision
    may lose; of an adopted model it has to keep the bounds of its answers, and int8 needs inputs for `calibration`.
    Ctrl-C ends it with the best of what was measured by then. Raises UsageError for settings that cannot be used,
    EdgebenchError if nothing could be measured, KeyboardInterrupt if nothing was yet.
    """
    if not 0 <= accuracy_drop < 1:
        raise UsageError(f"--accuracy-drop is {accuracy_drop:g}", "give a share such as 0.01")
    asked = RunOptions(runtimes=runtimes, compute=compute, scenario=goal, duration_s=duration_s)
    asked.check()
    profile = load_profile(device) if device else detect()
    placement = place(profile, require_device=False, environ=os.environ)
    with locks.device_to_ourselves(on_wait):
        considered = tuple(precisions) or PRECISIONS
        family = workspace.family(start)
        base = _base(family)
        family = [f for f in family if f.precision in (*considered, base)]
        if export:
            family += export_missing(
                family, considered, workspace, device=device, calibration=calibration, on_phase=on_phase,
                on_left_out=on_left_out,
            )  # fmt: skip
        on_phase("asking the runtimes what they can open here")
        planned = plan(family, profile, placement, asked)
        if precisions:  # eager and the defaults stay, to compare with
            planned = [p for p in planned if p.job.precision in (*precisions, base)]
        found = search(
            planned, goal, accuracy_drop=accuracy_drop, duration_s=duration_s,
            images=judging_images(images, start, workspace), on_phase=on_phase,
        )  # fmt: skip
    where = workspace.tuned(start, profile.name, goal)
    where.parent.mkdir(parents=True, exist_ok=True)
    jsonio.write(where, found)
    return found


@dataclass(kw_only=True)
class _Bench:
    """Measures jobs, and keeps what is known so far about each."""

    duration_s: float
    goal: Goal
    drops: dict[tuple[str, str], float] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    seen: dict[str, Trial] = field(default_factory=dict)
    interrupted: bool = False

    def look(self, job: Job, number: int) -> float | None:
        """Measure a job for as long as this round takes. Its cost, lower is better; None drops it."""
        old = self.seen.get(job.identity) or self.fresh(job)
        seconds = self.duration_s * ROUNDS[number]
        result = process.run_job(
            replace(job, warmup_s=min(0.2, seconds), duration_s=seconds),
            self.artifacts[job.artifact], verify=number == 0,
        )  # fmt: skip
        self.seen[job.identity] = trial = _with(old, result, number + 1)
        return self._cost(trial)

    def halve(
        self, jobs: Sequence[str], look: Callable[[str, int], float | None], always: Sequence[str]
    ) -> dict[str, float]:
        """Halve them for the best: by identity, the cost of each that did not fail."""
        try:
            return halving.halve(jobs, look, always=always)
        except KeyboardInterrupt:
            costs = {identity: cost for identity, trial in self.seen.items() if (cost := self._cost(trial)) is not None}
            if not costs:
                raise
            self.interrupted = True
            return costs

    def _cost(self, trial: Trial) -> float | None:
        if trial.message:
            return None
        return trial.median_ns if self.goal == "latency" else 1 / trial.throughput_per_s

    def race(self, jobs: Iterable[Job], profile: Profile, on_phase: Callable[[str], None]) -> dict[str, float]:
        """Race them for the fastest: by identity, the cost of each that did not fail."""
        bursts_s, most_s = self.duration_s * RACE[0], self.duration_s * RACE[1]
        planned = [
            Planned(
                job=replace(job, warmup_s=min(0.2, bursts_s), duration_s=bursts_s),
                artifact=self.artifacts[job.artifact], profile=profile,
            )
            for job in jobs
        ]  # fmt: skip
        options = RaceOptions(max_seconds=most_s, patience_s=PATIENCE * most_s, best_only=True)
        results, stop = race(planned, options, on_phase=on_phase)
        self.interrupted = stop == "interrupted"
        found: dict[str, Trial] = {}
        for job, item, result in zip(jobs, planned, results, strict=True):
            if result is None and self.interrupted:
                continue
            found[job.identity] = _raced(self.fresh(job), result or process.run_job(item.job, item.artifact))
        fastest_ns = next((trial.median_ns for trial in found.values() if trial.standing == "fastest"), None)
        for identity, trial in found.items():  # beside load, a setting's own time says less than its ratio
            known = trial.ratio is not None and fastest_ns is not None
            self.seen[identity] = replace(trial, median_ns=round(trial.ratio * fastest_ns)) if known else trial
        return {identity: cost for identity in found if (cost := self._cost(self.seen[identity])) is not None}

    def fresh(self, job: Job) -> Trial:
        found = self.artifacts[job.artifact]
        return Trial(
            artifact=job.artifact, name=found.path.name, format=found.format, precision=job.precision,
            runtime=job.runtime, threads=job.threads, batch=job.batch, streams=job.streams,
            accuracy_drop=self.drops.get((job.artifact, job.runtime)), options=job.options,
        )  # fmt: skip


def _with(old: Trial, result: Result, rounds: int) -> Trial:
    summary = stats.summarise(result.launches, result.job.batch) if result.status == "ok" else None
    if summary is None:
        return replace(old, rounds=rounds, message=result.message or result.status)
    median_ns = summary.median_ns or int(summary.mean_ns)
    throughputs = [summary.throughput_per_s, old.throughput_per_s or 0.0]
    return replace(
        old, rounds=rounds, median_ns=min(median_ns, old.median_ns or median_ns), throughput_per_s=max(throughputs)
    )


def _raced(old: Trial, result: Result) -> Trial:
    trial = _with(old, result, len(result.launches))
    if trial.message or result.race is None:
        return trial
    lag = result.race.fastest
    return replace(
        trial, ratio=lag.ratio if lag else 1.0, low=lag and lag.low, high=lag and lag.high,
        standing=lag.standing if lag else "fastest",
    )  # fmt: skip


def search(
    planned: Sequence[Planned],
    goal: Goal,
    *,
    accuracy_drop: float,
    duration_s: float,
    images: Callable[[], Path] | None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Tuned:
    """Search the settings of `planned`: each artifact of one checkpoint on each runtime that opens it, for this goal.

    Lower precisions whose accuracy is more than `accuracy_drop` below torch's are dropped before anything is timed; of
    an adopted model, those whose answers are not near the reference's, when they are timed first.
    `images`: returns the file of images to judge them by, as testset.py writes it; None if there is none.
    Latency on the CPU is found by a race; other figures by halving: `duration_s` are the seconds of measuring in the
    last round, which only the best few reach. Raises EdgebenchError if
    nothing could be measured.
    """
    began = time.monotonic()
    bench = _Bench(
        duration_s=duration_s, goal=goal, artifacts={item.artifact.identity: item.artifact for item in planned}
    )
    base = _base([item.artifact for item in planned])
    out: list[Trial] = []
    jobs: list[Job] = []
    for item in planned:
        reason = ""
        if item.job.precision != base and not item.artifact.adopted:
            on_phase(f"accuracy of {item.artifact.path.name} on {item.job.runtime}")
            reason = _judge(bench, item, images, accuracy_drop)
        if reason:
            out.append(replace(bench.fresh(item.job), message=reason))
        else:
            jobs += _settings(item.job, goal, (only,) if (only := only_batch(item.artifact)) else BATCHES)
    by_identity = {job.identity: job for job in jobs}
    defaults = [
        item.job.identity for item in planned if item.job.precision == base and item.job.identity in by_identity
    ]
    done = itertools.count(1)

    def look(identity: str, number: int) -> float | None:
        job = by_identity[identity]
        setting = f"{bench.artifacts[job.artifact].path.name} on {job.runtime}, {_words(job, goal)}"
        on_phase(f"round {number + 1}, setting {next(done)}: {setting}")
        return bench.look(job, number)

    if goal == "latency" and len(by_identity) > 1 and all(job.compute == "cpu" for job in jobs):
        costs = bench.race(by_identity.values(), planned[0].profile, lambda phase: on_phase(f"race, {phase}"))
    else:
        costs = bench.halve(list(by_identity), look, defaults)
    if not costs:
        reasons = {trial.message for trial in (*out, *bench.seen.values()) if trial.message}
        raise EdgebenchError(f"none of {len(jobs)} settings could be measured: {'; '.join(sorted(reasons))}")
    order = sorted(bench.seen, key=lambda identity: costs.get(identity, float("inf")))
    job = by_identity[order[0]]
    plain = [identity for identity in order if identity in costs and identity in defaults]
    eager = next((i for i in plain if _is_baseline(by_identity[i])), None)
    default = next((i for i in plain if not _is_baseline(by_identity[i])), None)
    found = bench.artifacts[job.artifact]
    return Tuned(
        goal=goal, device=job.device, compute=job.compute, evidence=job.evidence,
        origin=found.origin or found.identity, best=bench.seen[order[0]], eager=bench.seen.get(eager),
        default=bench.seen.get(default), trials=(*(bench.seen[i] for i in order), *out),
        accuracy_bound=accuracy_drop, seconds=round(time.monotonic() - began, 1), created=now(),
        interrupted=bench.interrupted,
    )  # fmt: skip


def _base(family: Sequence[Artifact]) -> Precision:
    """The precision that others are compared with: fp32, or what an adopted model came in."""
    return next((one.precision for one in family if one.adopted and not one.origin), "fp32")


def _judge(bench: _Bench, item: Planned, images: Callable[[], Path] | None, bound: float) -> str:
    """Why an artifact of lower precision is dropped on this runtime; empty if it is not."""
    if images is None:
        return "its accuracy is unknown: there are no images to judge it by"
    job = replace(item.job, scenario="evaluate", batch=only_batch(item.artifact) or 8, time_limit_s=3600.0)
    result = process.run_job(job, item.artifact, verify=False, images=images())
    if result.status != "ok" or result.evaluation is None:
        return result.message or result.status
    found = result.evaluation
    bench.drops[item.job.artifact, item.job.runtime] = found.torch_accuracy - found.accuracy
    try:
        judge(found, item.job.runtime, bound, item.artifact.precision)
    except VerificationFailed as error:
        return error.message
    return ""


def _is_baseline(job: Job) -> bool:
    """Whether it runs on the runtime that speed-ups are given against (PyTorch eager)."""
    return registry.facts("runtimes", job.runtime).baseline


def _settings(job: Job, goal: Goal, batches: Sequence[int] = BATCHES) -> list[Job]:
    """The job as it is, and with other numbers of threads and other options of the runtime, each alone; for throughput
    with other numbers of threads, of images in a batch and in flight."""
    if _is_baseline(job):  # only to compare with: its defaults
        return [job]
    cores = min(job.cores or available_cores(), available_cores())
    powers = sorted({1, *(2**i for i in range(1, cores.bit_length())), cores})
    if job.compute != "cpu":
        powers = [1] if goal == "latency" else powers
    if goal == "latency":
        threads = powers if job.compute == "cpu" else [job.threads]
        tried = registry.facts("runtimes", job.runtime).tunes if job.compute == "cpu" else {}
        return [
            job, *(replace(job, threads=n) for n in threads if n != job.threads),
            *(replace(job, options=job.options | {name: value}) for name, values in tried.items() for value in values),
        ]  # fmt: skip
    # As many threads as cores: requests in flight share them.
    others = [replace(job, batch=b, streams=n, threads=max(cores, job.threads or 1)) for b in batches for n in powers]
    return list({each.identity: each for each in (job, *others)}.values())


def _words(job: Job, goal: Goal) -> str:
    threads = f"{job.threads} threads"
    options = "".join(f", {name}={value}" for name, value in job.options.items())
    return (threads if goal == "latency" else f"{threads}, batch {job.batch}, {job.streams} in flight") + options
