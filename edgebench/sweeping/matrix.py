"""The matrix of a plan: a cell for each measurement, with the steps that lead to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebench.errors import UsageError
from edgebench.machine import registry
from edgebench.records.recipe import TrainConfig
from edgebench.sweeping import build, plan
from edgebench.sweeping.facts import Facts, Question
from edgebench.sweeping.plan import SweepPlan
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import Measure, Step, StepOutcome
from edgebench.sweeping.work import ordered


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement. `steps`: all that it needs, in order. The last one measures, the one before it may evaluate."""

    model: str
    subset: str
    seed: int
    target: str
    precision: str
    runtime: str
    device: str
    steps: tuple[Step, ...]

    @property
    def measured(self) -> Measure:
        return self.steps[-1]

    def state(self, outcomes: Mapping[str, StepOutcome]) -> StepOutcome | None:
        """The outcome that says how far it is: of a failed step, else of one under way, else of the last if all are
        done.

        None while it waits for its turn.
        """
        found = [outcomes[step.identity] for step in self.steps if step.identity in outcomes]
        for outcome in found:
            if outcome.status not in ("ok", "running"):
                return outcome
        running = next((outcome for outcome in found if outcome.status == "running"), None)
        return running or (found[-1] if len(found) == len(self.steps) else None)


@dataclass(frozen=True)
class Matrix:
    """The cells of a plan; `left_out`: a sentence for each combination that cannot be done."""

    cells: tuple[Cell, ...]
    left_out: tuple[str, ...]

    @property
    def steps(self) -> list[Step]:
        """The steps of all cells, each once: all trainings, then the exports, the evaluations and the measurements."""
        order = ("train", "export", "evaluate", "measure")
        every = [step for cell in self.cells for step in cell.steps]
        return ordered(sorted(every, key=lambda step: order.index(step.kind)))


def question(made: SweepPlan) -> Question:
    """What has to be looked up about a plan before its matrix can be made."""
    targets = tuple(target for target in made.targets if target != "checkpoint")
    return Question(configs=tuple(made.configs()), targets=targets)


def matrix(made: SweepPlan, known: Facts, sites: Sequence[Site]) -> Matrix:
    """All cells of a plan. Raises UsageError if none of its combinations can be done."""
    plan.refuse_copies("models", list(made.models), known.networks)
    cells: list[Cell] = []
    left_out: dict[str, None] = {}
    unused = set(made.runtimes)
    for config in made.configs():
        for target in made.targets:
            for precision in made.precisions:
                if target == "checkpoint" and precision != "fp32":
                    left_out[f"checkpoint in {precision}: checkpoints are fp32"] = None
                    continue
                for where in sites:
                    try:
                        exported = _exported(config, target, precision, made, known, where)
                    except UsageError as error:
                        left_out[f"{target} in {precision}: {error.message}"] = None
                        continue
                    for runtime in made.runtimes or (registry.native(target),):
                        if not where.opens(runtime, target):
                            left_out[f"{target} on {runtime}: {runtime} does not open it"] = None
                            continue
                        unused.discard(runtime)
                        steps = (*exported, *_measured(exported[-1], runtime, made, where))
                        cells.append(
                            Cell(
                                model=config.model,
                                subset=config.subset,
                                seed=config.seed,
                                target=target,
                                precision=precision,
                                runtime=runtime,
                                device=where.device,
                                steps=steps,
                            )
                        )
    if unused and cells:
        raise UsageError(f"the runtime {min(unused)} opens none of the targets {', '.join(made.targets)}", "drop it")
    if not cells:
        raise UsageError(f"nothing to do: {'; '.join(left_out)}", "other targets, precisions or runtimes")
    return Matrix(tuple(cells), tuple(left_out))


def _exported(
    config: TrainConfig, target: str, precision: str, made: SweepPlan, known: Facts, where: Site
) -> list[Step]:
    trained = build.train(config, known)
    settings = made.export
    return [
        trained,
        *build.export(
            trained, target, precision, known, device=where.device, accuracy_drop=settings.accuracy_drop,
            calibration_images=settings.calibration_images, max_batch=settings.max_batch,
        ),
    ]  # fmt: skip


def _measured(source: Step, runtime: str, made: SweepPlan, where: Site) -> list[Step]:
    evaluated = [build.evaluate(source, runtime, where, made.run)] if made.evaluate else []
    return [*evaluated, build.measure(source, runtime, where, made.run)]
