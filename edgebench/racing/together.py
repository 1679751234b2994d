"""Measures settings of this machine: those that can race in a race, the others one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from edgebench.machine import locks
from edgebench.machine.shared_memory import voided
from edgebench.measuring import running
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned
from edgebench.racing.race import RaceOptions, race
from edgebench.records.jobs import LATENCY, MIN_LAUNCHES, Policy
from edgebench.records.result import Result
from edgebench.specs import Artifact

SHARE = 0.25  # of the time that measuring one by one may take, unless fewer launches than a verdict needs are made


def races(planned: Sequence[Planned], options: RunOptions) -> list[list[Planned]]:
    """The settings that race: latency on the CPU, where two do one task. A GPU's memory cannot be bounded."""
    by_task: dict[object, list[Planned]] = {}
    for item in planned:
        if item.job.scenario == LATENCY and item.job.compute == "cpu":
            by_task.setdefault(_task(item.artifact), []).append(item)
    return [found for found in by_task.values() if len(found) > 1] if options.race else []


def _task(artifact: Artifact) -> object:
    """What settings have in common that can take each other's place: of adopted models the inputs and outputs, by their
    types and numbers of dimensions. What was trained here classifies images."""
    ends = (artifact.inputs, artifact.outputs) if artifact.adopted else ()
    return tuple(tuple((each.dtype, len(each.shape)) for each in end) for end in ends)


def run(
    planned: Sequence[Planned], folder: Path, options: RunOptions, *,
    on_start: Callable[[Planned], None] = lambda planned: None, on_phase: Callable[[str], None] = lambda phase: None,
    on_wait: Callable[[], None] = lambda: None, around: Callable[[], AbstractContextManager[None]] = nullcontext,
    say: Callable[[str], None] = lambda sentence: None,
) -> Iterator[tuple[Result, Path]]:  # fmt: skip
    """As `running.run`, but settings that can race do so first. Their results are on disk after each launch. `say` gets
    a sentence where settings cannot race that should."""
    folder.mkdir(parents=True, exist_ok=True)
    racing = races(planned, options)
    alone = [item for item in planned if not any(item in first for first in racing)]
    profiles = {item.job.identity: item.profile for item in planned}

    def kept(result: Result) -> Result:
        result = voided(result, profile=profiles[result.job.identity])
        running.keep(result, folder)
        return result

    with locks.device_to_ourselves(on_wait), around():
        for first in racing:
            results, stop = race(
                first, asked(options.policy, len(first), options.race_memory_mib),
                keep=lambda results: [kept(result) for result in results], on_phase=on_phase,
            )  # fmt: skip
            left, well = results.count(None), all(result is None or result.status == "ok" for result in results)
            if left and well and stop != "interrupted":
                room = f"--race-memory {mib} MiB" if (mib := options.race_memory_mib) else "the free memory"
                say(f"{room} does not hold {left} of {len(first)} settings beside another: they are measured alone")
            for item, result in zip(first, results, strict=True):
                if result is None:
                    alone.append(item)
                else:
                    yield from running.with_power(kept(result), item, folder, options, on_phase)
            if stop == "interrupted":
                return
        yield from running.one_by_one(alone, folder, options, on_start=on_start, on_phase=on_phase)


def asked(policy: Policy, settings: int, memory_mib: int | None = None) -> RaceOptions:
    """What the options of a run mean for a race of so many settings."""
    exactly = policy.launches < MIN_LAUNCHES or not policy.precision_target
    return RaceOptions(
        max_seconds=policy.max_seconds * max(1.0, settings * SHARE), patience_s=policy.max_seconds * settings,
        launches=policy.launches if exactly else None, fewest=policy.launches, memory_mib=memory_mib,
    )  # fmt: skip
