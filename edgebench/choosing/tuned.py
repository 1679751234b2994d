"""The outcome of a tuning as data, as the workspace keeps it, and how `edgebench run --tuned` uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from edgebench.errors import BadFile, UsageError
from edgebench.machine import registry, scenario_registry
from edgebench.measuring.options import RunOptions
from edgebench.records import jsonio
from edgebench.records.declared import (
    AboveZero,
    AdapterName,
    Amount,
    Count,
    MaybeSha256,
    Moment,
    Nanoseconds,
    Positive,
    Ratio,
    Share,
    Signed,
)
from edgebench.records.workspace import Workspace
from edgebench.specs import SCHEMA, Artifact

Goal = Literal["latency", "throughput"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One setting and its figures; None for what was not measured. `message`: why it was dropped.

    Of a race, `ratio` to the best, with its 95 % interval `low` to `high`, is what was measured, `standing` what is
    certain (records/race.py), and `median_ns` follows from it and the best one's median. Otherwise `median_ns` and
    `throughput_per_s` (images a second) are the best of its launches. `rounds`: of the search, or launches in the race.
    `accuracy_drop`: the share of the validation images that it loses against torch; None for fp32, which is not judged.
    `options`: those of the runtime.
    """

    artifact: MaybeSha256
    name: str
    format: str
    precision: str
    runtime: AdapterName
    threads: Positive | None
    batch: Positive
    streams: Positive
    rounds: Count = 0
    median_ns: Nanoseconds | None = None
    throughput_per_s: AboveZero | None = None
    ratio: Ratio | None = None
    low: Ratio | None = None
    high: Ratio | None = None
    standing: str = ""
    accuracy_drop: Signed | None = None
    message: str = ""
    options: dict[str, str] = field(default_factory=dict, metadata={"json": "unless default"})


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The best setting found on a device for a checkpoint's artifacts, and those to compare it with.

    `eager`: PyTorch fp32 on as many threads as the device has cores; `default`: the best of the runtimes with their
    default settings, on the fp32 artifact that each prefers. None if there was none to measure. `interrupted`: by
    Ctrl-C, so it is the best of what was measured by then.
    """

    goal: Goal
    device: str
    compute: str
    evidence: str
    origin: MaybeSha256
    best: Trial
    eager: Trial | None
    default: Trial | None
    trials: tuple[Trial, ...]
    accuracy_bound: Share
    seconds: Amount
    created: Moment
    interrupted: bool = field(default=False, metadata={"json": "unless default"})
    schema: int = SCHEMA

    def speedup(self, other: Trial | None) -> float | None:
        """How many times as fast as `other` the best is, by the goal."""
        if other is None:
            return None
        if self.goal == "throughput":
            return self.best.throughput_per_s / other.throughput_per_s
        return other.median_ns / self.best.median_ns


def measure_tuned(
    given: Sequence[Artifact], workspace: Workspace, device: str, asked: RunOptions
) -> tuple[list[Artifact], RunOptions]:
    """The artifact that tuning found best among the relatives of `given`, and `asked` with its settings filled in.

    What the user asked for stays. Raises UsageError if nothing was tuned for this device and goal, BadFile if the best
    artifact is gone.
    """
    if len({found.origin or found.identity for found in given}) > 1:
        raise UsageError("--tuned is for the artifacts of one checkpoint", "name one of them")
    goal: Goal = "throughput" if scenario_registry.load(asked.scenario).searches else "latency"
    where = workspace.tuned(given[0], device, goal)
    if not where.is_file():
        raise UsageError(f"nothing was tuned for {goal} of {given[0].path.name} on {device}", "`edgebench tune` first")
    found = jsonio.read(Tuned, where)
    best = found.best
    chosen = next((one for one in workspace.family(given[0]) if one.identity == best.artifact), None)
    if chosen is None:
        raise BadFile(f"{best.name}, which {where} found best, is not here any more", "`edgebench tune` again")
    tried = registry.facts("runtimes", best.runtime).tunes  # another may say where a library writes
    untried = [name for name, value in best.options.items() if value not in tried.get(name, ())]
    if untried and not asked.runtime_options:
        fix = f"`edgebench tune` again, or give it yourself: --runtime-option {untried[0]}=…"
        raise BadFile(f"{where}: tuning tries no {untried[0]} like this, so it is not taken from the file", fix)
    crowded = {"batch": asked.batch or best.batch, "streams": asked.streams or best.streams}
    asked = replace(
        asked, runtimes=(best.runtime,), compute=asked.compute or found.compute, threads=asked.threads or best.threads,
        runtime_options=asked.runtime_options or best.options, **crowded if goal == "throughput" else {},
    )  # fmt: skip
    return [chosen], asked
