"""`sweep`: looks up what a plan names, does all of its steps with an engine, and says how each cell ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgebench.machine import registry
from edgebench.measuring import process
from edgebench.records.workspace import Workspace, now
from edgebench.sweeping import adopted_models, cluster, matrix, on_ray, site, step_process
from edgebench.sweeping.estimate import Durations, Estimate
from edgebench.sweeping.facts import Progress
from edgebench.sweeping.matrix import Cell, Matrix
from edgebench.sweeping.plan import SweepPlan
from edgebench.sweeping.records import Records
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import StepOutcome, StepStatus
from edgebench.sweeping.this_machine import Local, slots
from edgebench.sweeping.work import Engine, SweepState, settled, work

Told = Callable[[str], None]
EngineName = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class ReadySweep:
    """A sweep that can begin. `sites`: its devices; `at_once`: how many trainings and exports run at the same time.

    `engine` makes the engine, from the records and a function that prints a sentence.
    """

    matrix: Matrix
    sites: tuple[Site, ...]
    workspace: Workspace
    at_once: int
    engine: Callable[[Records, Told], Engine]

    @property
    def notices(self) -> list[str]:
        """What to show prominently: that this machine only emulates a device."""
        return [where.notice for where in self.sites if where.notice]

    def done(self) -> dict[str, StepOutcome]:
        """The outcomes of the steps that need not be done again, by identity."""
        return settled(self.matrix.steps, Records(self.workspace))

    def durations(self) -> Durations:
        """How long steps took in this workspace."""
        return Durations(Records(self.workspace).all())

    def estimate(self) -> Estimate:
        """How long the rest may take."""
        return self.durations().left(self.matrix.steps, self.done(), self.at_once, now())


@dataclass(frozen=True, kw_only=True)
class CellOutcome:
    """A cell and how it ended. `paths`: by kind of step, what that step made, relative to the workspace.

    `median_ms` and `accuracy` (a share of the test split) are None where they were not measured.
    """

    model: str
    subset: str
    seed: int
    target: str
    precision: str
    runtime: str
    device: str
    status: StepStatus | Literal["waiting"]
    message: str
    paths: Mapping[str, str]
    median_ms: float | None
    accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class Swept:
    """The outcome of a sweep. `left_out`: a sentence for each combination that cannot be done; `interrupted`: by
    Ctrl-C.

    `outcomes`: by identity, the outcome of each step that is done or was tried.
    """

    cells: tuple[CellOutcome, ...]
    left_out: tuple[str, ...]
    interrupted: bool
    outcomes: Mapping[str, StepOutcome]

    @property
    def failed(self) -> int:
        """How many cells are not done."""
        return sum(cell.status != "ok" for cell in self.cells)


def prepare(
    plan: SweepPlan, workspace: Workspace, *, engine: EngineName = "local", address: str | None = None,
    parallel: int | None = None, on_weights: Progress = lambda name, done, total: None,
) -> ReadySweep:  # fmt: skip
    """Look up all that a plan names, and the devices to measure on. No step is done yet.

    `on_weights` (name, bytes done, bytes in all) is called while weights are fetched from the hub. Raises
    UsageError for a plan that cannot be done, EdgebenchError if no Ray cluster answers at `address`.
    """
    runtimes = list(plan.runtimes or dict.fromkeys(map(registry.native, plan.targets)))
    if engine == "ray":
        ray = on_ray.connect(address)
        nodes = cluster.report(ray, workspace, runtimes)
        sites = on_ray.sites(nodes, plan.devices)
    else:
        probes = process.probe_all(runtimes)
        sites = [site.here(device, probes) for device in plan.devices or (None,)]
    adopted = adopted_models.find(plan.models, workspace)
    cells = matrix.matrix(plan, step_process.ask(matrix.question(plan), on_weights), sites, adopted)
    at_once = cluster.at_once(nodes) if engine == "ray" else parallel or slots(cells.steps)

    def begin(kept: Records, say: Told) -> Engine:
        return on_ray.OnRay(kept, ray, nodes, say) if engine == "ray" else Local(kept, at_once)

    return ReadySweep(matrix=cells, sites=tuple(sites), workspace=workspace, at_once=at_once, engine=begin)


def sweep(
    ready: ReadySweep, *, on_change: Callable[[SweepState], None] = lambda state: None,
    say: Told = lambda sentence: None,
) -> Swept:  # fmt: skip
    """Do all steps that are not done. A step that fails raises nothing: its cells say so.

    `on_change` is called at each change and every fifth of a second. Ctrl-C ends the sweep in good order: what is done
    is kept, and the next sweep goes on. Raises EdgebenchError while another sweep is at work in the workspace.
    """
    outcomes: dict[str, StepOutcome] = {}

    def changed(state: SweepState) -> None:
        outcomes.update(state.outcomes)
        on_change(state)

    interrupted = False
    with Records(ready.workspace) as kept:
        try:
            work(ready.matrix.steps, kept, ready.engine(kept, say), changed)
        except KeyboardInterrupt:
            interrupted = True
    cells = tuple(_ended(cell, outcomes, kept) for cell in ready.matrix.cells)
    return Swept(cells=cells, left_out=ready.matrix.left_out, interrupted=interrupted, outcomes=outcomes)


def _ended(cell: Cell, outcomes: Mapping[str, StepOutcome], kept: Records) -> CellOutcome:
    ending = cell.state(outcomes)
    done = [outcomes[step.identity] for step in cell.steps if step.identity in outcomes]
    return CellOutcome(
        model=cell.model, subset=cell.subset, seed=cell.seed, target=cell.target, precision=cell.precision,
        runtime=cell.runtime, device=cell.device, status=ending.status if ending else "waiting",
        message=ending.message if ending else "",
        paths={outcome.step.kind: outcome.path for outcome in done if outcome.path}, **_figures(done, kept),
    )  # fmt: skip


def _figures(done: Sequence[StepOutcome], kept: Records) -> dict[str, Any]:
    found: dict[str, Any] = {"median_ms": None, "accuracy": None}
    for outcome in done:
        if outcome.status == "ok" and outcome.step.kind in ("evaluate", "measure"):
            result = kept.result(outcome)
            if result.evaluation:
                found["accuracy"] = result.evaluation.accuracy
            if result.summary and result.summary.median_ns is not None:
                found["median_ms"] = result.summary.median_ns / 1e6
    return found
