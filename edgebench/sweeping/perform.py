"""Does a step: trains, exports, evaluates or measures. It goes on with what a killed attempt left."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgebench import artifact
from edgebench.adopting import inputs
from edgebench.errors import BadFile, EdgebenchError, OutOfMemory, Unsupported
from edgebench.exporting import pipeline
from edgebench.measuring import testset
from edgebench.records.result import Result
from edgebench.specs import Artifact
from edgebench.sweeping.measured import Measurement, Told, race
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Adopt, Export, StepOutcome, Train


def perform(begun: StepOutcome, kept: Records, tell: Told = lambda phase: None) -> StepOutcome:
    """Do the step of a record that was just begun (`Records.begin`), in this process. The caller keeps the outcome.

    Raises nothing for what goes wrong in the step: the outcome's status and message say it.
    """
    started = time.monotonic()
    done = _caught(begun, lambda: _do(begun, kept, tell, started))
    return replace(done, seconds=round(time.monotonic() - started, 3))


def perform_race(
    begun: Sequence[StepOutcome], kept: Records, tell: Told = lambda phase: None
) -> list[StepOutcome]:  # fmt: skip
    """As `perform`, for several measurements that may race (`steps.race_together`). Each took its share of the time."""
    started, failed = time.monotonic(), None
    ready: dict[str, Measurement] = {}
    results: dict[str, Result] = {}

    def prepare(one: StepOutcome) -> StepOutcome:
        ready[one.step.identity] = Measurement.of(one, kept)
        return one

    def ended(one: Measurement) -> StepOutcome:
        if (found := results.get(one.item.job.identity)) is not None:
            return _with_result(one, *one.ended(found))
        if (complete := one.complete()) is None:
            raise failed or EdgebenchError("the race ended without it", "sweep again")
        return _with_result(one, *complete)

    outcomes = [_caught(one, partial(prepare, one)) for one in begun]
    try:
        results = race([one for one in ready.values() if one.complete() is None], kept, tell)
    except Exception as error:  # each of them says so
        failed = error
    outcomes = [
        _caught(one, partial(ended, ready[one.step.identity])) if one.step.identity in ready else one
        for one in outcomes
    ]
    share_s = round((time.monotonic() - started) / len(begun), 3)
    return [replace(one, seconds=share_s) for one in outcomes]


def _caught(begun: StepOutcome, act: Callable[[], StepOutcome]) -> StepOutcome:
    """The outcome that `act` gives, or the one that its error stands for."""
    try:
        return act()
    except Unsupported as error:
        return replace(begun, status="unsupported", message=str(error))
    except (MemoryError, OutOfMemory) as error:
        return replace(begun, status="out_of_memory", message=str(error) or "an allocation failed (MemoryError)")
    except EdgebenchError as error:
        return replace(begun, status="failed", message=str(error))
    except Exception as error:  # a library may fail in any way; the traceback is kept
        status = "out_of_memory" if type(error).__name__ == "OutOfMemoryError" else "failed"  # torch's, on a GPU
        message = f"{type(error).__name__}: {error}"
        return replace(begun, status=status, message=message, log_tail=traceback.format_exc()[-4000:])


def _do(begun: StepOutcome, kept: Records, tell: Told, started: float) -> StepOutcome:
    step = begun.step
    if isinstance(step, Train):
        found = _trained(step, begun.since, kept, tell, started)
        return replace(begun, status="ok", path=_relative(found.path, kept), product=found.identity)
    if isinstance(step, Adopt):
        found = artifact.read(kept.workspace.artifacts / step.folder)
        if found.identity != step.artifact:
            raise EdgebenchError(f"{found.path} was adopted again since", "sweep again")
        return replace(begun, status="ok", path=_relative(found.path, kept), product=found.identity)
    if isinstance(step, Export):
        source = kept.source(step)
        found = _exported(step, source, begun.since, kept, tell)
        path = _relative(found.path, kept)
        return replace(begun, status="ok", path=path, product=found.identity, made_from=source.identity)
    one = Measurement.of(begun, kept)
    return _with_result(one, *(one.complete() or one.made(tell)))


def _with_result(one: Measurement, result: Result, path: Path) -> StepOutcome:
    return replace(
        one.begun, status=result.status, message=result.message, path=_relative(path, one.kept),
        made_from=one.source.identity, log_tail=result.log_tail[-4000:],
    )  # fmt: skip


def _relative(path: Path, kept: Records) -> str:
    return str(path.absolute().relative_to(kept.workspace.root.absolute()))


def _trained(step: Train, since: str, kept: Records, tell: Told, started: float) -> Artifact:
    """The recipe's checkpoint, if it is there and whole; else train it, going on where a killed training was."""
    out = kept.workspace.checkpoints / step.folder
    found = _whole(out)
    usable = found is not None and not found.training.interrupted and _began_alike(found, step)
    if not usable or not (found.created >= since or _made_alike(found, step, kept)):
        found = _probe(step, out, kept, tell) if step.probe else _train(step, out, kept, tell, started)
    test_set = kept.workspace.test_set(found)
    if not testset.kept(test_set, found):
        from edgebench.training import checkpoint

        tell("answers to the test split")
        _trust(step.config.model)
        checkpoint.write_split(found, test_set, lambda done, total: tell(f"test images {done}/{total}"))
    return found


def _train(step: Train, out: Path, kept: Records, tell: Told, started: float) -> Artifact:
    from edgebench.training import listening, loop, tracking
    from edgebench.training.resuming import SavedRun

    def show(now: listening.TrainingStep) -> None:
        left = f"{int(now.seconds_left) // 60}:{int(now.seconds_left) % 60:02d} left"
        tell(f"epoch {now.epoch}/{now.epochs}, step {now.step}/{now.steps}, {left}")

    track = partial(tracking.open, folder=kept.workspace.root / "logs" / out.name)
    listener = listening.Listener(
        on_step=show,
        say=print,
        on_image=lambda done, total: tell(f"images {done}/{total}"),
        on_answer=lambda done, total: tell(f"answers of the teacher {done}/{total}"),
        on_weights=lambda name, done, total: tell(listening.fetching(name, done, total)),
    )
    begin = partial(
        loop.train, step.config, out, answers=kept.workspace.answers, floors=kept.workspace.floors,
        planned=step.contents["init"], track=track,
        listener=listener, began=started,
    )  # fmt: skip
    unfinished = SavedRun(out)
    try:
        return begin(resume=unfinished.exists())
    except BadFile:
        if not unfinished.exists():
            raise
        unfinished.discard()  # the saved state cannot be used
        return begin()


def _probe(step: Train, out: Path, kept: Records, tell: Told) -> Artifact:
    from edgebench.training import listening, probing

    _trust(step.config.model)
    told = probing.Told(
        print, lambda what, done, total: tell(f"{what} {done}/{total}"),
        lambda name, done, total: tell(listening.fetching(name, done, total)),
    )  # fmt: skip
    workspace = kept.workspace
    return probing.probe(
        step.config, out, workspace.features, told, floors=workspace.floors, planned=step.contents["init"]
    )


def _made_alike(found: Artifact, step: Train, kept: Records) -> bool:
    """Whether `edgebench train` made this checkpoint with the same libraries, so that it need not be made again."""
    same = all(found.tools.get(name, "").split("+")[0] == v.split("+")[0] for name, v in step.tools.items())
    return same and not kept.claimed(step)


def _began_alike(found: Artifact, step: Train) -> bool:
    """Whether a checkpoint began with the weights that the step was planned with."""
    began = found.training.beginning
    return began is not None and began.identity == step.contents["init"]


def _exported(step: Export, source: Artifact, since: str, kept: Records, tell: Told) -> Artifact:
    workspace = kept.workspace
    out = workspace.artifacts / pipeline.folder_name(source, step.target, step.precision, source.input_type)
    left = _whole(out)
    if left is not None and left.created >= since and left.source == source.identity:
        return left

    if source.format == "checkpoint":
        _trust(source.adopted.network if source.adopted else kept.read(step.source).step.config.model)
    given = [Path(path) for path in step.calibration]
    done = pipeline.export(
        source, step.target, workspace, precision=step.precision, accuracy_drop=step.accuracy_drop,
        calibration=partial(
            pipeline.calibration, source, workspace, step.calibration_images,
            partial(inputs.calibration, given, source, step.calibration_images),
        ),
        max_batch=step.max_batch, device=step.device or None, extra=step.extra, out=out, tell=tell,
    )  # fmt: skip
    return done.artifact


def _trust(model: str) -> None:
    """The user gave the recipe, so the Python file that it names may be run to rebuild what was trained with it."""
    from edgebench.records import user_functions, weight_files

    if user_functions.is_function(model):
        os.environ.setdefault(weight_files.TRUST, model)


def _whole(folder: Path) -> Artifact | None:
    try:
        return artifact.read(folder)
    except BadFile:
        return None
