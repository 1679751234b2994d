"""The matrix of a plan: a cell for each measurement, with the steps that lead to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgebench.adopting import inputs
from edgebench.errors import UsageError
from edgebench.machine import registry
from edgebench.specs import Artifact
from edgebench.sweeping import build, plan
from edgebench.sweeping.facts import Facts, Question
from edgebench.sweeping.plan import SweepPlan
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import Adopt, Measure, Step, StepOutcome, Train
from edgebench.sweeping.work import ordered


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement. `steps`: all that it needs, in order. The last one measures, the one before it may evaluate.

    An adopted model has no `subset` and no `seed`: they are "" and 0.
    """

    model: str
    subset: str
    seed: int
    target: str
    precision: str
    runtime: str
    device: str
    steps: tuple[Step, ...]

    @property
    def whose(self) -> str:
        """The model and, if it is trained, by what."""
        return f"{self.model}, subset {self.subset}, seed {self.seed}" if self.subset else self.model

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
        """The steps of all cells, each once: all trainings and adoptions, then the exports, the evaluations and the
        measurements."""
        order = ("train", "adopt", "export", "evaluate", "measure")
        every = [step for cell in self.cells for step in cell.steps]
        return ordered(sorted(every, key=lambda step: order.index(step.kind)))


def question(made: SweepPlan) -> Question:
    """What has to be looked up about a plan before its matrix can be made."""
    targets = tuple(target for target in made.targets if target != "checkpoint")
    return Question(configs=tuple(made.configs()), targets=targets)


@dataclass(frozen=True, kw_only=True)
class _Start:
    """Where cells begin: with a training by a recipe, or with an adopted model of this name in the plan."""

    model: str
    subset: str
    seed: int
    step: Train | Adopt
    head: Artifact | None = None


def _starts(made: SweepPlan, known: Facts, adopted: Mapping[str, Artifact]) -> Iterator[_Start]:
    configs = made.configs()
    for model in made.models:
        if model in adopted:
            yield _Start(model=model, subset="", seed=0, step=build.adopt(adopted[model]), head=adopted[model])
        for config in configs:
            if config.model == model:
                trained = build.train(config, known)
                yield _Start(model=model, subset=config.subset, seed=config.seed, step=trained)


def matrix(
    made: SweepPlan, known: Facts, sites: Sequence[Site], adopted: Mapping[str, Artifact] | None = None
) -> Matrix:
    """All cells of a plan, whose `adopted` models were found. Raises UsageError if none of its combinations can be
    done."""
    plan.refuse_copies("models", list(made.models), known.networks)
    cells: list[Cell] = []
    left_out: dict[str, None] = {}
    unused = set(made.runtimes)
    calibration = inputs.digests_of(made.export.calibration)
    for start in _starts(made, known, adopted or {}):
        for target in made.targets:
            for precision in made.precisions:
                if target == "checkpoint" and precision != "fp32":
                    left_out[f"checkpoint in {precision}: checkpoints are fp32"] = None
                    continue
                for where in sites:
                    try:
                        exported = _exported(start, target, precision, made, known, where, calibration)
                    except UsageError as error:
                        left_out[f"{target} in {precision}: {error.message}"] = None
                        continue
                    for runtime in made.runtimes or (registry.native(target),):
                        if not where.opens(runtime, target):
                            left_out[f"{target} on {runtime}: {runtime} does not open it"] = None
                            continue
                        unused.discard(runtime)
                        steps = (*exported, *_measured(exported[-1], runtime, made, where, start))
                        cells.append(
                            Cell(
                                model=start.model,
                                subset=start.subset,
                                seed=start.seed,
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
    start: _Start, target: str, precision: str, made: SweepPlan, known: Facts, where: Site,
    calibration: Mapping[str, str],
) -> list[Step]:  # fmt: skip
    settings = made.export
    return [
        start.step,
        *build.export(
            start.step, target, precision, known, device=where.device, accuracy_drop=settings.accuracy_drop,
            calibration_images=settings.calibration_images, max_batch=settings.max_batch, head=start.head,
            calibration=calibration if start.head else None,
        ),
    ]  # fmt: skip


def _measured(source: Step, runtime: str, made: SweepPlan, where: Site, start: _Start) -> list[Step]:
    known = made.evaluate and start.head is None  # an adopted model has no test split of its own
    evaluated = [build.evaluate(source, runtime, where, made.run)] if known else []
    return [*evaluated, build.measure(source, runtime, where, made.run)]
