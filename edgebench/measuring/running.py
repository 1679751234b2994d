"""Decides which artifacts to measure on which runtimes of this device, and measures them one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import psutil

from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import accelerators, locks, registry, scenario_registry
from edgebench.machine.device import Placement, Profile, available_cores
from edgebench.machine.shared_memory import voided
from edgebench.measuring import process, search
from edgebench.measuring.launches import repeat
from edgebench.measuring.options import RunOptions
from edgebench.measuring.power_pass import PowerPass
from edgebench.records import jobs, replacing
from edgebench.records.batches import batch_refused, only_batch
from edgebench.records.energy import Energy
from edgebench.records.jobs import Conditions, Job
from edgebench.records.probe import Probe
from edgebench.records.result import Result
from edgebench.results import store
from edgebench.specs import Artifact

Ask = Callable[[Sequence[str], int, "int | None"], list[Probe]]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A job with the artifact that it measures and the device that it is for."""

    job: Job
    artifact: Artifact
    profile: Profile


def plan(
    artifacts: Sequence[Artifact], profile: Profile, placement: Placement, options: RunOptions, *,
    ask: Ask = lambda names, threads, cores: process.probe_all(list(names)),
) -> list[Planned]:  # fmt: skip
    """Plan every artifact on every runtime that can open it here, or on those of the named runtimes that can.

    A named runtime that does not work here is planned as well, so that a result records what is wrong. `ask` asks
    them what they open; it hears the threads and the cores (None: all) that each will have. Raises EdgebenchError if
    there is nothing to measure.
    """
    options.check()
    named = [registry.canonical("runtimes", name) for name in options.runtimes]
    for artifact in artifacts:
        if artifact.adopted and options.batch and (refused := batch_refused(artifact, options.batch)):
            raise UsageError(*refused)
    compute = options.compute or placement.compute
    if placement.stands_in and compute != placement.compute:
        raise UsageError(f"an emulated {profile.name} runs on {placement.compute}, not on {compute}", "drop --compute")
    cores = placement.cores or available_cores()
    threads = options.threads or min(cores, psutil.cpu_count(logical=False) or cores)
    if threads > (most := max(cores, psutil.cpu_count() or cores)):  # thousands of threads would not even start in time
        raise UsageError(f"--threads is {threads}, this machine has {most} cores", f"give at most {most}")
    probes = ask(named or _likely(artifacts), threads, placement.cores)
    physical_mib = psutil.virtual_memory().total // 2**20
    limits = [mb for mb in (options.memory_limit_mib, placement.memory_limit_mib, int(physical_mib * 0.9)) if mb]
    given = {
        **{f.name: getattr(options, f.name) for f in fields(Conditions)},
        "compute": compute, "streams": options.streams or 1, "threads": threads,
        "batch": options.batch or scenario_registry.load(options.scenario).batch,
        "time_limit_s": options.time_limit_s or options.measured_s + 120, "memory_limit_mib": min(limits),
        **scenario_registry.settled(options),
    }  # fmt: skip
    planned = [
        Planned(
            job=Job(
                artifact=artifact.identity,
                runtime=probe.name,
                device=profile.name,
                evidence=placement.evidence,
                precision=artifact.precision,
                cores=placement.cores,
                options=options.runtime_options,
                environment=jobs.steering() if scenario_registry.load(options.scenario).timed else {},
                **given | ({"batch": only} if options.batch is None and (only := only_batch(artifact)) else {}),
            ),
            artifact=artifact,
            profile=profile,
        )
        for artifact in artifacts
        for probe in probes
        if _opens(probe, artifact) and (named or _works(probe, compute))
    ]
    PowerPass(options.power, profile).check(compute, placement.evidence)
    if not planned:
        raise EdgebenchError(_nothing(artifacts, probes, compute), "`edgebench doctor` says what each runtime lacks")
    return planned


def _likely(artifacts: Sequence[Artifact]) -> list[str]:
    """The runtimes that may open one of these, by what they state: loading the others to ask them takes seconds.

    All of them if none states that it does: an error then tells what each can open.
    """
    stated = {name: one for name, one in registry.all_facts("runtimes").items() if not one.only_by_name}
    formats = {artifact.format for artifact in artifacts}
    return [name for name, one in stated.items() if not one.accepts or formats & one.accepts] or list(stated)


def _opens(probe: Probe, artifact: Artifact) -> bool:
    return bool(probe.error) or artifact.format in probe.accepts  # what does not load cannot say what it opens


def _works(probe: Probe, compute: str) -> bool:
    return not probe.error and compute in probe.computes


def _nothing(artifacts: Sequence[Artifact], probes: Sequence[Probe], compute: str) -> str:
    formats = ", ".join(sorted({artifact.format for artifact in artifacts}))
    have = ", ".join(f"{p.name} ({', '.join(p.accepts)} on {', '.join(p.computes)})" for p in probes if p.computes)
    lacking = [
        f"{p.name} could run on {compute}, but here: {p.lacking[compute]}" for p in probes if compute in p.lacking
    ]
    lacking += [] if compute in ("cpu", "cuda") else [one.why for one in accelerators.found()]
    return "; ".join([f"no runtime here opens {formats} on {compute}", *lacking, f"what works: {have or 'none'}"])


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

    A result is also saved after each of its launches: one that is cut short keeps what it has, and is marked. A result
    that is ok is saved before its power pass. `around` is entered once this process has the machine to itself, and left
    before it is released. Raises OSError, before anything is measured, for a folder that cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locks.device_to_ourselves(on_wait), around():
        yield from one_by_one(planned, folder, options, on_start=on_start, on_phase=on_phase)


def one_by_one(
    planned: Sequence[Planned], folder: Path, options: RunOptions, *, on_start: Callable[[Planned], None],
    on_phase: Callable[[str], None],
) -> Iterator[tuple[Result, Path]]:  # fmt: skip
    """As `run`, on a machine that we have to ourselves."""
    for item in planned:
        on_start(item)
        job, points = item.job, ()
        scenario = scenario_registry.load(job.scenario)
        if scenario.searches:
            job, points = search.most_throughput(
                job,
                item.artifact,
                batch=options.batch or only_batch(item.artifact),
                streams=options.streams,
                on_phase=on_phase,
            )
        checked = partial(voided, profile=item.profile)
        measured = partial(
            repeat, job, item.artifact, options.policy,
            on_launch=lambda result, points=points, checked=checked: keep(
                checked(replace(result, search=points)), folder
            ),
            on_phase=on_phase,
        )  # fmt: skip
        power = PowerPass(options.power, item.profile)
        beside = scenario.power == "beside"
        result = checked(replace(power.beside(job, measured, on_phase) if beside else measured(), search=points))
        path = keep(result, folder)
        if beside:
            yield result, path
        else:
            yield from with_power(result, item, folder, options, on_phase)
        if result.stop == "interrupted":
            return


def with_power(
    result: Result, item: Planned, folder: Path, options: RunOptions, on_phase: Callable[[str], None]
) -> Iterator[tuple[Result, Path]]:
    """A result that is on disk, after its power pass. Ctrl-C in that is raised again, once the result is out."""
    if result.status == "ok" and result.stop != "interrupted":
        try:
            result = PowerPass(options.power, item.profile).measure(result, on_phase)
        except KeyboardInterrupt:
            result = replace(result, energy=Energy(missing="interrupted", reason="the power pass was cut short"))
            yield result, keep(result, folder)
            raise
    yield result, keep(result, folder)


def keep(result: Result, folder: Path) -> Path:
    """Write a result into the folder; an artifact's path means nothing elsewhere."""
    return store.save(replace(result, artifact=replace(result.artifact, path=Path())), folder)


def evaluate(
    item: Planned, images: Path, folder: Path, *, score: Callable[[Result, Path, Path], Result] | None = None,
    on_phase: Callable[[str], None] = lambda phase: None, on_wait: Callable[[], None] = lambda: None,
    run_job: Callable[..., Result] = process.run_job,
) -> Result:  # fmt: skip
    """Evaluate an artifact on the test set in the file `images` (testset.py); the result is saved in `folder`.

    `score` gets the result, the test set and the file of the answers to it, and returns the result with more.
    `run_job`: in which process, as process.run_job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locks.device_to_ourselves(on_wait), replacing.scratch() as scratch:
        answers = Path(scratch, "answers.zip") if score else None
        result = run_job(item.job, item.artifact, images=images.resolve(), answers=answers, on_phase=on_phase)
        if score and result.status == "ok":
            result = score(result, images, answers)
    keep(result, folder)
    return result
