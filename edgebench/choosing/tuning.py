"""Searches runtime × precision × threads × batch × requests in flight for the best setting within an accuracy bound."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from edgebench.choosing import halving
from edgebench.errors import EdgebenchError
from edgebench.machine.device import available_cores
from edgebench.measuring import process
from edgebench.measuring.running import Planned
from edgebench.records.jobs import Job
from edgebench.records.result import Result
from edgebench.records.workspace import now
from edgebench.results import stats
from edgebench.specs import SCHEMA, Artifact

Goal = Literal["latency", "throughput"]

ROUNDS = (0.1, 0.3, 1.0)  # of the measuring time in each round
BATCHES = (1, 4, 16)  # that throughput tries
BASELINE = "torch"  # eager, the runtime that every speed-up is told against


@dataclass(frozen=True)
class Trial:
    """One setting and what was seen of it; None where nothing was. `message`: why it is out.

    `median_ns` and `throughput_per_s` are the best of its launches. `accuracy_drop`: on the validation images, against
    torch; None for fp32, whose answers are torch's.
    """

    artifact: str
    name: str
    format: str
    precision: str
    runtime: str
    threads: int | None
    batch: int
    streams: int
    rounds: int = 0
    median_ns: int | None = None
    throughput_per_s: float | None = None
    accuracy_drop: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Tuned:
    """The best setting found on a device for a checkpoint's artifacts, and what it is better than.

    `eager`: PyTorch fp32 on as many threads as the device has cores; `default`: the best of the runtimes as they come,
    on the fp32 artifact that each prefers. None where there was none to measure.
    """

    goal: Goal
    device: str
    compute: str
    evidence: str
    origin: str
    best: Trial
    eager: Trial | None
    default: Trial | None
    trials: tuple[Trial, ...]
    accuracy_bound: float
    seconds: float
    created: str
    schema: int = SCHEMA

    def speedup(self, other: Trial | None) -> float | None:
        """How many times as fast as `other` the best is, by the goal."""
        if other is None:
            return None
        if self.goal == "throughput":
            return self.best.throughput_per_s / other.throughput_per_s
        return other.median_ns / self.best.median_ns


@dataclass
class _Search:
    """What was seen so far of each job."""

    duration_s: float
    goal: Goal
    drops: dict[tuple[str, str], float] = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    seen: dict[str, Trial] = field(default_factory=dict)

    def look(self, job: Job, number: int) -> float | None:
        """Measure a job in this round, for as long as that is; its cost, lower is better."""
        old = self.seen.get(job.identity) or self.fresh(job)
        seconds = self.duration_s * ROUNDS[number]
        result = process.run_job(
            replace(job, warmup_s=min(0.2, seconds), duration_s=seconds),
            self.artifacts[job.artifact], verify=number == 0,
        )  # fmt: skip
        self.seen[job.identity] = trial = _with(old, result, number + 1)
        if trial.message:
            return None
        return trial.median_ns if self.goal == "latency" else 1 / trial.throughput_per_s

    def fresh(self, job: Job) -> Trial:
        found = self.artifacts[job.artifact]
        return Trial(
            job.artifact, found.path.name, found.format, job.precision, job.runtime, job.threads, job.batch,
            job.streams, accuracy_drop=self.drops.get((job.artifact, job.runtime)),
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


def tune(
    planned: Sequence[Planned],
    goal: Goal,
    *,
    accuracy_drop: float,
    duration_s: float,
    images: Callable[[], Path] | None,
    on_phase: Callable[[str], None] = lambda phase: None,
) -> Tuned:
    """Search the settings of `planned`: each artifact of one checkpoint on each runtime that opens it, for this goal.

    Lower precisions whose accuracy on the images (a file as testset.py writes; None where there is none) is more than
    `accuracy_drop` below torch's are out before anything is timed. `duration_s`: of measuring in the last round, which
    only the best few reach. Raises EdgebenchError if nothing could be measured.
    """
    began = time.monotonic()
    search = _Search(duration_s, goal, artifacts={item.artifact.identity: item.artifact for item in planned})
    out: list[Trial] = []
    jobs: list[Job] = []
    for item in planned:
        reason = ""
        if item.job.precision != "fp32":
            on_phase(f"accuracy of {item.artifact.path.name} on {item.job.runtime}")
            reason = _judge(search, item, images, accuracy_drop)
        if reason:
            out.append(replace(search.fresh(item.job), message=reason))
        else:
            jobs += _settings(item.job, goal)
    by_identity = {job.identity: job for job in jobs}
    defaults = [
        item.job.identity for item in planned if item.job.precision == "fp32" and item.job.identity in by_identity
    ]
    done = itertools.count(1)

    def look(identity: str, number: int) -> float | None:
        job = by_identity[identity]
        setting = f"{search.artifacts[job.artifact].path.name} on {job.runtime}, {_words(job, goal)}"
        on_phase(f"round {number + 1}, setting {next(done)}: {setting}")
        return search.look(job, number)

    costs = halving.halve(list(by_identity), look, always=defaults)
    if not costs:
        reasons = {trial.message for trial in (*out, *search.seen.values()) if trial.message}
        raise EdgebenchError(f"none of {len(jobs)} settings could be measured: {'; '.join(sorted(reasons))}")
    order = sorted(search.seen, key=lambda identity: costs.get(identity, float("inf")))
    job = by_identity[order[0]]
    plain = [identity for identity in costs if identity in defaults]
    eager = next((i for i in plain if by_identity[i].runtime == BASELINE), None)
    default = next((i for i in plain if by_identity[i].runtime != BASELINE), None)
    found = search.artifacts[job.artifact]
    return Tuned(
        goal, job.device, job.compute, job.evidence, found.origin or found.identity, search.seen[order[0]],
        search.seen.get(eager), search.seen.get(default), (*(search.seen[i] for i in order), *out), accuracy_drop,
        round(time.monotonic() - began, 1), now(),
    )  # fmt: skip


def _judge(search: _Search, item: Planned, images: Callable[[], Path] | None, bound: float) -> str:
    """Why an artifact of lower precision is out on this runtime; empty if it is not."""
    if images is None:
        return "its accuracy is not known: there are no images to judge it by"
    job = replace(item.job, scenario="evaluate", batch=8, time_limit_s=3600.0)
    result = process.run_job(job, item.artifact, verify=False, images=images())
    if result.status != "ok" or result.evaluation is None:
        return result.message or result.status
    drop = result.evaluation.torch_accuracy - result.evaluation.accuracy
    search.drops[item.job.artifact, item.job.runtime] = drop
    return f"it loses {drop:.2%} of the images, the bound is {bound:.2%}" if drop > bound + 1e-9 else ""


def _settings(job: Job, goal: Goal) -> list[Job]:
    """The job as it is, and with other numbers of threads; for throughput with batches and requests in flight."""
    if job.runtime == BASELINE:  # to compare with, as it comes
        return [job]
    cores = min(job.cores or available_cores(), available_cores())
    powers = sorted({1, *(2**i for i in range(1, cores.bit_length())), cores})
    if job.compute != "cpu":
        powers = [1] if goal == "latency" else powers
    if goal == "latency":
        threads = powers if job.compute == "cpu" else [job.threads]
        return [job, *(replace(job, threads=n) for n in threads if n != job.threads)]
    # As many threads as cores: requests in flight share them.
    others = [replace(job, batch=b, streams=n, threads=max(cores, job.threads or 1)) for b in BATCHES for n in powers]
    return list({each.identity: each for each in (job, *others)}.values())


def _words(job: Job, goal: Goal) -> str:
    threads = f"{job.threads} threads"
    return threads if goal == "latency" else f"{threads}, batch {job.batch}, {job.streams} in flight"
