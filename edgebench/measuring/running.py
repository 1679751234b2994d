"""Which measurements to make of which artifacts on this device, and making them one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil

from edgebench.errors import EdgebenchError, UsageError, positive
from edgebench.machine import locks, registry
from edgebench.machine.device import Placement, Profile, available_cores
from edgebench.machine.power import PowerOptions
from edgebench.machine.shared_memory import voided
from edgebench.measuring import process, search
from edgebench.measuring.launches import repeat
from edgebench.measuring.power_pass import PowerPass
from edgebench.records.energy import Energy
from edgebench.records.jobs import LOADGEN, MULTI_STREAM_SAMPLES, Job, Policy, Scenario
from edgebench.records.result import Result
from edgebench.results import store
from edgebench.specs import Artifact, Probe

CROWDED = ("throughput", "server", "offline")  # the scenarios with several requests in flight
SCHEDULED = ("camera", "server")  # those whose requests have a time at which they are due
RATE_HZ = 30.0  # a camera's
MINUTES = 10.0  # of a sustained run
MAX_QUERIES = 1_000_000  # LoadGen makes a server's queries beforehand, at 0.3 KB each


@dataclass(frozen=True)
class RunOptions:
    """What the user may ask of a run; None means the sensible default for the device and the scenario."""

    runtimes: tuple[str, ...] = ()
    compute: str | None = None
    scenario: Scenario = "latency"
    batch: int | None = None
    streams: int | None = None
    threads: int | None = None
    rate_hz: float | None = None
    deadline_ms: float | None = None
    minutes: float | None = None
    warmup_s: float = 0.5
    duration_s: float = 2.0
    time_limit_s: float | None = None
    memory_limit_mib: int | None = None
    strict: bool = False
    unverified: bool = False
    runtime_options: dict[str, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    power: PowerOptions = field(default_factory=PowerOptions)

    def check(self) -> None:
        """Raise UsageError for what cannot be run."""
        for name, value in (
            ("--batch", self.batch), ("--streams", self.streams), ("--threads", self.threads),
            ("--memory-limit", self.memory_limit_mib),
        ):  # fmt: skip
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}", "give at least 1")
        positive("--duration", self.duration_s)
        for name, value, what, scenarios in (
            ("--minutes", self.minutes, "number of minutes", ("sustained",)),
            ("--rate", self.rate_hz, "number of frames or queries a second", SCHEDULED),
            ("--deadline-ms", self.deadline_ms, "number of milliseconds", SCHEDULED),
            ("--streams", self.streams, "number of requests", CROWDED),
        ):
            if value is not None:
                positive(name, value, what)
                if self.scenario not in scenarios:
                    raise UsageError(
                        f"{name} has no meaning in the scenario {self.scenario}", f"--scenario {' or '.join(scenarios)}"
                    )
        if self.time_limit_s is not None:
            positive("--time-limit", self.time_limit_s)
        if not (math.isfinite(self.warmup_s) and self.warmup_s >= 0):
            raise UsageError(f"--warmup is {self.warmup_s:g}", "give a number of seconds, 0 for none")
        self.policy.check()
        self.power.check()
        if self.runtime_options and len(self.runtimes) != 1:
            raise UsageError("--runtime-option is meant for one runtime", "say which: --runtime NAME")
        if self.scenario in LOADGEN:
            self._check_loadgen()
        if self.time_limit_s is not None and self.time_limit_s <= self.measured_s:
            raise UsageError(
                f"--time-limit {self.time_limit_s:g} s leaves no room for {self.measured_s:g} s of measuring",
                f"give at least --time-limit {self.measured_s + 60:g}",
            )
        if self.scenario == "camera" and self.rate * self.duration_s > Job.max_iterations:
            raise UsageError(
                f"--rate {self.rate:g} for {self.duration_s:g} s is more than {Job.max_iterations} frames",
                "a shorter --duration",
            )

    def _check_loadgen(self) -> None:
        batch = self.batch or 1
        if self.scenario in ("single-stream", "server") and batch > 1:
            raise UsageError(f"a query of {self.scenario} is one image, not {batch}", "drop --batch")
        if self.scenario == "multi-stream" and MULTI_STREAM_SAMPLES % batch:
            raise UsageError(f"the 8 images of a query do not go into batches of {batch}", "--batch 1, 2, 4 or 8")
        queries = self.rate * self.duration_s
        if self.scenario == "server" and not 1 <= queries <= MAX_QUERIES:
            raise UsageError(
                f"--rate {self.rate:g} for {self.duration_s:g} s is {queries:g} queries",
                f"choose --rate and --duration for 1 to {MAX_QUERIES}",
            )

    @property
    def rate(self) -> float:
        """Frames or queries a second, where the scenario has a rate."""
        return RATE_HZ if self.rate_hz is None else self.rate_hz

    @property
    def measured_s(self) -> float:
        """Seconds that one process measures for, warm-up included."""
        return self.warmup_s + ((self.minutes or MINUTES) * 60 if self.scenario == "sustained" else self.duration_s)


@dataclass(frozen=True)
class Planned:
    """A job, the artifact that it is about, and the device that it is for."""

    job: Job
    artifact: Artifact
    profile: Profile


def plan(artifacts: Sequence[Artifact], profile: Profile, placement: Placement, options: RunOptions) -> list[Planned]:
    """Every artifact on every runtime that can open it here; on the runtimes that are named, if any are.

    A named runtime that does not work here is planned all the same, so that what is wrong with it is on record as a
    result. Raises EdgebenchError if there is nothing to measure.
    """
    options.check()
    named = [registry.canonical("runtimes", name) for name in options.runtimes]
    asked = named or [name for name, stated in registry.all_facts("runtimes").items() if not stated.only_by_name]
    probes = process.probe_all(asked)
    compute = options.compute or placement.compute
    if placement.evidence == "emulated" and compute != placement.compute:
        raise UsageError(f"an emulated {profile.name} runs on {placement.compute}, not on {compute}", "drop --compute")
    cores = placement.cores or available_cores()
    threads = options.threads or min(cores, psutil.cpu_count(logical=False) or cores)
    if threads > (most := max(cores, psutil.cpu_count() or cores)):  # thousands of them would not even start in time
        raise UsageError(f"--threads is {threads}, this machine has {most} cores", f"give at most {most}")
    physical_mib = psutil.virtual_memory().total // 2**20
    limits = [mb for mb in (options.memory_limit_mib, placement.memory_limit_mib, int(physical_mib * 0.9)) if mb]
    scheduled = options.scenario in SCHEDULED
    planned = [
        Planned(
            Job(
                artifact=artifact.identity,
                runtime=probe.name,
                device=profile.name,
                compute=compute,
                evidence=placement.evidence,
                scenario=options.scenario,
                batch=options.batch or 1,
                streams=options.streams or 1,
                precision=artifact.precision,
                threads=threads,
                rate_hz=options.rate if scheduled else None,
                deadline_ms=(options.deadline_ms or 1000 / options.rate) if scheduled else None,
                warmup_s=options.warmup_s,
                duration_s=options.measured_s - options.warmup_s,
                time_limit_s=options.time_limit_s or options.measured_s + 120,
                memory_limit_mib=min(limits),
                cores=placement.cores,
                strict=options.strict,
                unverified=options.unverified,
                options=options.runtime_options,
            ),
            artifact,
            profile,
        )
        for artifact in artifacts
        for probe in probes
        if _opens(probe, artifact) and (named or _works(probe, compute))
    ]
    if placement.evidence == "measured":
        PowerPass(options.power, profile).check(compute)
    if not planned:
        raise EdgebenchError(_nothing(artifacts, probes, compute), "`edgebench doctor` says what each runtime lacks")
    return planned


def _opens(probe: Probe, artifact: Artifact) -> bool:
    return bool(probe.error) or artifact.format in probe.accepts  # what does not load cannot tell what it would open


def _works(probe: Probe, compute: str) -> bool:
    return not probe.error and compute in probe.computes


def _nothing(artifacts: Sequence[Artifact], probes: Sequence[Probe], compute: str) -> str:
    formats = ", ".join(sorted({artifact.format for artifact in artifacts}))
    have = ", ".join(f"{p.name} ({', '.join(p.accepts)} on {', '.join(p.computes)})" for p in probes if not p.error)
    return f"no runtime here opens {formats} on {compute}; what works: {have or 'none'}"


def run(
    planned: Sequence[Planned],
    folder: Path,
    options: RunOptions,
    *,
    on_start: Callable[[Planned], None] = lambda planned: None,
    on_phase: Callable[[str], None] = lambda phase: None,
    on_wait: Callable[[], None] = lambda: None,
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[tuple[Result, Path]]:
    """Make the measurements one by one. Each result is on disk, in `folder`, before the next one starts.

    So is a result in the making, after each of its launches: cut short, it remains with what it has, and says so. A
    result that is ok is on disk before the power pass over it, too.
    `around` is entered once the machine is ours, and left before it is given away.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def keep(result: Result) -> Path:
        return store.save(replace(result, artifact=replace(result.artifact, path=Path())), folder)

    with locks.device_to_ourselves(on_wait), around():
        for item in planned:
            on_start(item)
            job, points = item.job, ()
            if job.scenario == "throughput":
                job, points = search.most_throughput(
                    job, item.artifact, batch=options.batch, streams=options.streams, on_phase=on_phase
                )
            power = PowerPass(options.power, item.profile)
            checked = partial(voided, profile=item.profile)
            measured = partial(
                repeat, job, item.artifact, options.policy,
                on_launch=lambda result, points=points, checked=checked: keep(checked(replace(result, search=points))),
                on_phase=on_phase,
            )  # fmt: skip
            lasting = job.scenario == "sustained"
            result = replace(power.beside(job, measured, on_phase) if lasting else measured(), search=points)
            result = checked(result)
            path = keep(result)
            if result.status == "ok" and result.stop != "interrupted" and not lasting:
                try:
                    result = power.measure(result, on_phase)
                except KeyboardInterrupt:
                    energy = Energy(missing="interrupted", reason="the power pass was cut short")
                    result = replace(result, energy=energy)
                    yield result, keep(result)
                    raise
                keep(result)
            yield result, path
            if result.stop == "interrupted":
                return


def evaluate(
    item: Planned, images: Path, folder: Path, *,
    on_phase: Callable[[str], None] = lambda phase: None, on_wait: Callable[[], None] = lambda: None,
) -> Result:  # fmt: skip
    """Judge an artifact on the test set in the file `images` (testset.py); the result is saved in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with locks.device_to_ourselves(on_wait):
        result = process.run_job(item.job, item.artifact, images=images.resolve(), on_phase=on_phase)
    store.save(replace(result, artifact=replace(result.artifact, path=Path())), folder)
    return result
