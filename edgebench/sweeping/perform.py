"""Does one step: trains, exports, evaluates or measures. It goes on with what a killed attempt left."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgebench import artifact
from edgebench.adopting import inputs
from edgebench.errors import BadFile, EdgebenchError, OutOfMemory, Unsupported
from edgebench.exporting import pipeline
from edgebench.machine.device import load_profile, place
from edgebench.measuring import running, testset
from edgebench.records.result import Result
from edgebench.results import store
from edgebench.specs import Artifact
from edgebench.sweeping.records import Records
from edgebench.sweeping.steps import Adopt, Export, Measure, StepOutcome, Train

Told = Callable[[str], None]


def perform(begun: StepOutcome, kept: Records, tell: Told = lambda phase: None) -> StepOutcome:
    """Do the step of a record that was just begun (`Records.begin`), in this process. The caller keeps the outcome.

    Raises nothing for what goes wrong in the step: the outcome's status and message say it.
    """
    started = time.monotonic()
    try:
        done = _do(begun, kept, tell, started)
    except Unsupported as error:
        done = replace(begun, status="unsupported", message=str(error))
    except (MemoryError, OutOfMemory) as error:
        done = replace(begun, status="out_of_memory", message=str(error) or "an allocation failed (MemoryError)")
    except EdgebenchError as error:
        done = replace(begun, status="failed", message=str(error))
    except Exception as error:  # a library may fail in any way; the traceback is kept
        status = "out_of_memory" if type(error).__name__ == "OutOfMemoryError" else "failed"  # torch's, on a GPU
        message = f"{type(error).__name__}: {error}"
        done = replace(begun, status=status, message=message, log_tail=traceback.format_exc()[-4000:])
    return replace(done, seconds=round(time.monotonic() - started, 3))


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
    before = kept.read(step.source)
    if before is None or before.status != "ok":
        raise EdgebenchError("the step that it depends on is not done", "sweep again")
    source = kept.artifact(before)
    if isinstance(step, Export):
        found = _exported(step, source, begun.since, kept, tell)
        path = _relative(found.path, kept)
        return replace(begun, status="ok", path=path, product=found.identity, made_from=source.identity)
    result, path = _measured(step, source, begun.since, kept, tell)
    status = "ok" if result.status == "ok" else result.status
    return replace(
        begun, status=status, message=result.message, path=_relative(path, kept), made_from=source.identity,
        log_tail=result.log_tail[-4000:],
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
        max_batch=step.max_batch, extra=step.extra, out=out, tell=tell,
    )  # fmt: skip
    return done.artifact


def _trust(model: str) -> None:
    """The user gave the recipe, so the Python file that it names may be run to rebuild what was trained with it."""
    from edgebench.records import user_functions, weight_files

    if user_functions.is_function(model):
        os.environ.setdefault(weight_files.TRUST, model)


def _measured(step: Measure, source: Artifact, since: str, kept: Records, tell: Told) -> tuple[Result, Path]:
    workspace = kept.workspace
    profile = load_profile(step.device)
    placement = place(profile, require_device=False, environ=os.environ)
    (item,) = running.plan([source], profile, placement, step.options)

    def same() -> list[tuple[Path, Result]]:
        """The results of this very job, oldest first."""
        paths = sorted(workspace.results.glob(f"*-{item.job.runtime}-{item.job.identity[:12]}.json"))
        return [(path, store.read(path, samples=False)) for path in paths]

    for path, result in same():
        if result.created >= since and result.status == "ok" and result.stop != "interrupted":
            return result, path  # complete, but it was killed before it was recorded
    wait = lambda: tell("waiting: another edgebench is at work on this machine")  # noqa: E731
    if step.kind == "evaluate":
        images = workspace.test_set(source)
        if not images.is_file():
            raise EdgebenchError(f"there are no test images in {images}", "delete the checkpoint, and sweep again")
        result = running.evaluate(item, images, workspace.results, on_phase=tell, on_wait=wait)
    else:
        ((result, _),) = running.run([item], workspace.results, step.options, on_phase=tell, on_wait=wait)
    made = Path()
    for path, other in same():
        if other.created == result.created:
            made = path
        elif other.created >= since and other.stop == "interrupted":
            path.unlink(missing_ok=True)  # launches of a killed attempt; the complete measurement replaces them
    return result, made


def _whole(folder: Path) -> Artifact | None:
    try:
        return artifact.read(folder)
    except BadFile:
        return None
