"""Which measurements to make of which artifacts on this device, and making them one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from edgebench import registry, results
from edgebench.device import Placement, Profile, available_cores
from edgebench.engines import local
from edgebench.errors import EdgebenchError, UsageError
from edgebench.jobs import Job, Result
from edgebench.specs import Artifact, Probe

# Runtimes that only ever run when they are named: their latency is scripted, not measured.
ONLY_BY_NAME = {"fake"}


@dataclass(frozen=True)
class RunOptions:
    """What the user may ask of a run; None means the sensible default for the device."""

    runtimes: tuple[str, ...] = ()
    compute: str | None = None
    batch: int = 1
    threads: int | None = None
    warmup_s: float = 0.5
    duration_s: float = 3.0
    time_limit_s: float = 120.0
    memory_limit_mib: int | None = None
    runtime_options: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise UsageError for what cannot be run."""
        for name, value, least in (
            ("--batch", self.batch, 1), ("--threads", self.threads, 1), ("--memory-limit", self.memory_limit_mib, 1),
        ):  # fmt: skip
            if value is not None and value < least:
                raise UsageError(f"{name} is {value}", f"give at least {least}")
        for name, value in (("--duration", self.duration_s), ("--time-limit", self.time_limit_s)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} is {value}", "give a positive number of seconds")
        if not (math.isfinite(self.warmup_s) and self.warmup_s >= 0):
            raise UsageError(f"--warmup is {self.warmup_s}", "give a number of seconds, 0 for none")
        if self.runtime_options and len(self.runtimes) != 1:
            raise UsageError("--runtime-option is meant for one runtime", "say which: --runtime NAME")
        if self.time_limit_s <= self.warmup_s + self.duration_s:
            raise UsageError(
                f"--time-limit {self.time_limit_s:g} s leaves no room for {self.warmup_s:g} s of warm-up and "
                f"{self.duration_s:g} s of measuring",
                f"give at least --time-limit {self.warmup_s + self.duration_s + 60:g}",
            )


@dataclass(frozen=True)
class Planned:
    """A job, and the artifact that it is about."""

    job: Job
    artifact: Artifact


def plan(artifacts: Sequence[Artifact], profile: Profile, placement: Placement, options: RunOptions) -> list[Planned]:
    """Every artifact on every runtime that can open it here; on the runtimes that are named, if any are.

    A named runtime that does not work here is planned all the same, so that what is wrong with it is on record as a
    result. Raises EdgebenchError if there is nothing to measure.
    """
    options.check()
    named = [registry.canonical("runtimes", name) for name in options.runtimes]
    asked = named or [name for name in registry.names("runtimes") if name not in ONLY_BY_NAME]
    probes = local.probe_all(asked)
    compute = options.compute or placement.compute
    if placement.evidence == "emulated" and compute != placement.compute:
        raise UsageError(f"an emulated {profile.name} runs on {placement.compute}, not on {compute}", "drop --compute")
    cores = placement.cores or available_cores()
    threads = options.threads or min(cores, psutil.cpu_count(logical=False) or cores)
    physical_mib = psutil.virtual_memory().total // 2**20
    limits = [mb for mb in (options.memory_limit_mib, placement.memory_limit_mib, int(physical_mib * 0.9)) if mb]
    planned = [
        Planned(
            Job(
                artifact=artifact.identity,
                runtime=probe.name,
                device=profile.name,
                compute=compute,
                evidence=placement.evidence,
                batch=options.batch,
                precision=artifact.precision,
                threads=threads,
                warmup_s=options.warmup_s,
                duration_s=options.duration_s,
                time_limit_s=options.time_limit_s,
                memory_limit_mib=min(limits),
                cores=placement.cores,
                options=options.runtime_options,
            ),
            artifact,
        )
        for artifact in artifacts
        for probe in probes
        if _opens(probe, artifact) and (named or _works(probe, compute))
    ]
    if not planned:
        raise EdgebenchError(_nothing(artifacts, probes, compute), "`edgebench doctor` says what each runtime lacks")
    return planned


def _opens(probe: Probe, artifact: Artifact) -> bool:
    return bool(probe.error) or artifact.format in probe.accepts  # what does not load cannot tell what it would open


def _works(probe: Probe, compute: str) -> bool:
    return not probe.error and compute in probe.devices


def _nothing(artifacts: Sequence[Artifact], probes: Sequence[Probe], compute: str) -> str:
    formats = ", ".join(sorted({artifact.format for artifact in artifacts}))
    have = ", ".join(f"{p.name} ({', '.join(p.accepts)} on {', '.join(p.devices)})" for p in probes if not p.error)
    return f"no runtime here opens {formats} on {compute}; what works: {have or 'none'}"


def run(
    planned: Sequence[Planned],
    folder: Path,
    *,
    on_start: Callable[[Planned], None] = lambda planned: None,
    on_phase: Callable[[str], None] = lambda phase: None,
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Result, Path]]:
    """Make the measurements one by one. Each result is on disk, in `folder`, before the next one starts."""
    folder.mkdir(parents=True, exist_ok=True)
    with local.device_to_ourselves(on_wait):
        for item in planned:
            on_start(item)
            result = local.run_job(item.job, item.artifact, on_phase)
            result = replace(result, artifact=replace(result.artifact, path=Path()))
            yield result, results.save(result, folder)
