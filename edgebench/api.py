"""What the commands do, as functions; those of many steps are in api_search.py.

Each has the meaning and the defaults of the command of the same name. Artifacts are given as `Artifact` objects, as
other functions return them, or as paths of their folders; by default the newest of the workspace is used. A workspace
is a folder, created if it is missing. Nothing is printed: if the machine is not the device, or files cannot be read, a
warning says so. Foreseen failures raise `edgebench.errors.EdgebenchError` or one of its children, such as UsageError,
BadFile, Unsupported or VerificationFailed, with a `message` and a `fix`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edgebench.adopting import adopt as adopting
from edgebench.adopting import judged, scoring
from edgebench.adopting.judged import Judged
from edgebench.boards import orders
from edgebench.boards.ssh import Host
from edgebench.choosing import selecting
from edgebench.choosing.decision import Decision
from edgebench.choosing.limits import Limits, Prefer, documented
from edgebench.comparing import judging
from edgebench.errors import UsageError, unknown_name
from edgebench.linting import lint as linting
from edgebench.machine import registry, stated
from edgebench.machine.device import detect, load_profile, place
from edgebench.measuring import options as run_options
from edgebench.measuring import running
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned
from edgebench.racing import together
from edgebench.records.jobs import LATENCY, Policy
from edgebench.records.linted import Linted
from edgebench.records.recipe import TrainConfig, absolute, folder_name
from edgebench.records.result import Result
from edgebench.records.terminal import printable
from edgebench.records.workspace import Workspace
from edgebench.results import index
from edgebench.results.rows import merged, rows
from edgebench.results.store import folder_in
from edgebench.specs import Artifact, InputType, Precision
from edgebench.training import evaluating

if TYPE_CHECKING:
    from edgebench.training.listening import Listener

AnyPath = str | os.PathLike[str]
Source = Artifact | AnyPath
Sources = Source | Sequence[Source] | None
Results = AnyPath | Result | Sequence[Result]
Options = TypeVar("Options")


def train(
    config: TrainConfig | None = None, *, workspace: AnyPath = "runs", out: AnyPath | None = None, resume: bool = False,
    download: bool = False, listener: Listener | None = None, **settings: Any,
) -> Artifact:  # fmt: skip
    """Train a backbone and return the checkpoint that is best on validation: `train(model="resnet50", epochs=3)`.

    `settings` are the fields of `TrainConfig` (model, dataset, subset, image_size in pixels, epochs, lr, seed, …), or
    changes to those of `config`. The checkpoint's `training.test_accuracy` is a share in [0, 1] of the test split, and
    `training.floor` what methods without a network reach on the same images. With `search=9`, `training.search` has the
    nine settings that were compared on validation first. Images are squares of
    `preprocessing.height` pixels, uint8 RGB before normalisation and float32 (n, 3, h, w) after it. `listener` is told
    of each step. Raises UsageError for a setting that makes no sense, BadFile for a dataset that cannot be read,
    Unsupported without torch.
    """
    from edgebench.training import at_hand, data
    from edgebench.training.requirements import require_training_libraries

    config = absolute(with_values(config or TrainConfig(), settings, "setting"))
    config.check()
    if not resume:
        at_hand.check(config)
    data.check(dataset := data.of(config, download=download), config.subset)
    require_training_libraries()
    from edgebench.training import listening, loop

    where = Workspace(Path(workspace))
    folder = Path(out) if out else where.checkpoints / folder_name(config, dataset.name)
    return loop.train(
        config, folder, resume=resume, answers=where.answers, floors=where.floors, listener=listener or listening.SILENT
    )


def export(
    source: Source | None = None, target: str = "onnx", *, workspace: AnyPath = "runs", out: AnyPath | None = None,
    precision: Precision | None = None, input: InputType | None = None, accuracy_drop: float | None = None,
    calibration_images: int = 300, calibration: AnyPath | Sequence[AnyPath] = (), max_batch: int = 32,
    options: dict[str, str] | None = None, device: str | None = None, tell: Callable[[str], None] = lambda stage: None,
) -> Artifact:  # fmt: skip
    """Export a checkpoint, an artifact, or a model file from elsewhere, to "onnx", "openvino" or "tensorrt", and verify
    its answers.

    The artifact takes float32 (batch, 3, h, w), or with `input="uint8"` a camera's (batch, h, w, 3), and returns logits
    (batch, classes). `precision` is that of weights and activations, by default the source's. int8 is calibrated on
    `calibration_images` training images, of an adopted model on `calibration`: `.npz` files, pictures, or folders of
    them, by default the inputs that it was adopted with. It may lose 0.01 of the validation images (`judged`); with
    `accuracy_drop` (a share) that share, and the worst layers stay in floating point. Raises VerificationFailed, and
    keeps nothing, if the answers differ from torch's, or from the adopted model's, by more than the precision allows,
    or int8 loses more; Unsupported if a library is missing.
    """
    from edgebench.adopting import inputs as adopting_inputs
    from edgebench.exporting import pipeline

    given = [calibration] if isinstance(calibration, (str, os.PathLike)) else calibration
    where, target = Workspace(Path(workspace)), registry.canonical("exporters", target)
    start = where.newest_source() if source is None else read_source(source, where)
    done = pipeline.export(
        start, target, where, precision=precision, input=input, accuracy_drop=accuracy_drop,
        calibration=partial(
            pipeline.calibration, start, where, calibration_images,
            partial(adopting_inputs.calibration, [Path(path) for path in given], start, calibration_images),
        ),
        out=Path(out) if out else None, max_batch=max_batch, device=device, extra=options, compare=True, tell=tell,
    )  # fmt: skip
    return done.artifact


def lint(
    source: Source, target: str | Sequence[str] = (), *, workspace: AnyPath = "runs", time_limit_s: float = 120.0
) -> list[Linted]:  # fmt: skip
    """What each target's own parser says of an artifact or a model file, by default all that are here: one verdict for
    each, with `ok`, `status` and `findings`. Raises UsageError for an unknown target, BadFile for no model file."""
    file = not isinstance(source, Artifact) and Path(source).is_file()
    found = Path(source) if file else read_source(source, Workspace(Path(workspace)))
    return linting.lint(found, several(target), time_limit_s=time_limit_s)


def evaluate(
    artifacts: Sources = None, *, workspace: AnyPath = "runs", device: str | None = None,
    runtime: str | Sequence[str] = (), images: AnyPath | None = None, save_images: AnyPath | None = None,
    preprocess: str = "", class_names: AnyPath = "", output: str = "", score: str = "", batch: int | None = None,
    threads: int | None = None, compute: str | None = None, time_limit_s: float = 3600.0, host: str | None = None,
    ssh_config: AnyPath | None = None,
) -> list[Result]:  # fmt: skip
    """Count the right answers of artifacts on their runtimes over the whole test split; one result for each.

    `result.evaluation.accuracy` is a share in [0, 1], with Wilson's 95 % interval in `accuracy_ci95`. If an evaluation
    fails, `evaluation` is None, and `status` and `message` say why. `images`: a file that `save_images` wrote, for a
    board. Without it, the first evaluation reads the dataset and needs torch. An adopted model needs `images`: such a
    file, or a folder of pictures; and `preprocess`, `class_names` (a file, or "order") and `output` where they are not
    known. `score="FILE.py:FUNCTION"` judges other answers than classes: see `result.score.figures`. `host`,
    `ssh_config`: as in `run`.
    """
    where = Workspace(Path(workspace))
    given = {
        "runtimes": several(runtime), "batch": batch, "threads": threads, "compute": compute,
        "time_limit_s": time_limit_s,
    }  # fmt: skip
    asked = RunOptions(**given, scenario="evaluate")
    asked.check()
    stated.check(device=None if host else device)
    found = read_sources(artifacts, where, host, asked.runtimes, preprocess)
    if host is not None:
        evaluating.need_one_checkpoint(found, "host")
        if score:
            raise UsageError("score runs on this machine", "leave out host")
    asked_for = Judged(
        images=Path(images) if images else None, preprocess=preprocess, class_names=os.fspath(class_names),
        output=output, score=score,
    )  # fmt: skip
    copy = Path(save_images) if save_images else None
    files = judged.test_sets(found, where, asked_for, save=copy, tell=lambda line: warn([line]))
    if host is not None:
        return _on_board(host, ssh_config, ["evaluate"], device, given, found, where, files[found[0].identity])
    return evaluating.evaluate(
        found, files, where, asked, device=device, score=partial(scoring.add, function=score) if score else None,
        on_notice=lambda notice: warn([notice]),
    )  # fmt: skip


@run_options.documented
def run(
    artifacts: Sources = None, *, workspace: AnyPath = "runs", device: str | None = None,
    require_device: bool = False, runtime: str | Sequence[str] = (), scenario: str = LATENCY,
    batch: int | None = None, threads: int | None = None, duration_s: float = 2.0, launches: int = Policy.launches,
    precision_target: float = Policy.precision_target, max_seconds: float = Policy.max_seconds,
    host: str | None = None, ssh_config: AnyPath | None = None, **options: Any,
) -> list[Result]:  # fmt: skip
    """Measure artifacts on a device in fresh processes; one result per artifact and runtime. Several settings race.

    `result.summary` has the figures over all launches: `median_ns`, `p90_ns`, `p99_ns` (nanoseconds per request of
    `job.batch` images), `throughput_per_s` (images per second); `result.peak_memory_bytes` is the memory. A failure is
    a result, not an exception: it has no summary, a `status` other than "ok", and a `message`. `device` is a profile's
    name, by default that of this machine. The options are those of `edgebench run`, listed below. Each result is on
    disk, in `WORKSPACE/results`, after each of its launches. With `host` (user@board, or a Host of
    `ssh_config`, by default ~/.ssh/config) a board measures them, over ssh, and has to be the device. Raises UsageError
    for options that make no sense, Unsupported if this machine is not the device and `require_device` or CI demands it.
    """
    where = Workspace(Path(workspace))
    given = options | {
        "scenario": scenario, "batch": batch, "threads": threads, "duration_s": duration_s, "launches": launches,
        "precision_target": precision_target, "max_seconds": max_seconds, "runtimes": several(runtime),
    }  # fmt: skip
    asked = run_options.asked(given)
    if host is not None:
        asked.check()
        found = read_sources(artifacts, where, host, asked.runtimes)
        return _on_board(host, ssh_config, ["run", "--require-device"], device, given, found, where)
    planned = _planned(artifacts, where, device, require_device, asked)
    return [result for result, _ in together.run(planned, where.results, asked)]


@documented
def select(
    results: Results = "runs", *, device: str | None = None, prefer: Prefer = "accuracy", scenario: str = LATENCY,
    batch: int | None = None, dataset: str | None = None, **limits: float | dict[str, float] | None,
) -> Decision:  # fmt: skip
    """Choose what to deploy on a device under limits, from a workspace, a folder of results, or results.

    The units are in the names; 1 MB is 10⁶ bytes and `min_accuracy` a share in (0, 1]. `decision.chosen` is the best by
    `prefer` among those that keep all limits, or None. `decision.candidates` has every other one with the limit that it
    broke and by how much, "tie", "unknown", or "no better" than always answering the most frequent class. `dataset`:
    only results of this one, or NAME@HASH of its test images. Raises UsageError for a limit that makes no sense or
    results of several test splits, EdgebenchError if there is nothing to choose from.
    """
    asked = with_values(Limits(), limits, "limit")
    if isinstance(results, (str, os.PathLike)):
        entries, problems = index.load(folder_in(Path(results)))
        warn(problem.message for problem in problems)
        found = merged(entries)
    else:
        found = rows(read_results(results))
    return selecting.select(found, asked, device=device, prefer=prefer, scenario=scenario, batch=batch, dataset=dataset)


def read_source(source: Source, where: Workspace | None = None, preprocess: str = "") -> Artifact:
    """The artifact itself, or the one in the folder; in a workspace, a model file becomes one (see adopt.read)."""
    return source if isinstance(source, Artifact) else adopting.read(Path(source), where, preprocess=preprocess)


def several(names: str | Sequence[str]) -> tuple[str, ...]:
    """A single name, or several, as a tuple."""
    return (names,) if isinstance(names, str) else tuple(names)


def with_values(options: Options, given: dict[str, Any], what: str) -> Options:
    """A frozen dataclass with other values. Raises UsageError for a name that it does not have."""
    known = [field.name for field in fields(options)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise unknown_name(what, name, known)
    return replace(options, **given)  # type: ignore[type-var]


def read_sources(
    artifacts: Sources, where: Workspace, host: str | None = None, eager: Sequence[str] = (), preprocess: str = ""
) -> list[Artifact]:  # fmt: skip
    """The given artifacts, or the newest; for a board, those to send. Raises UsageError for an empty list."""
    if artifacts is None:
        return where.newest_artifacts() if host is None else orders.newest(where, eager)
    sources = [artifacts] if isinstance(artifacts, (Artifact, str, os.PathLike)) else artifacts
    if not (found := [read_source(source, where, preprocess) for source in sources]):
        raise UsageError("there is no artifact in the list", "name one, or leave the argument out for the newest")
    return found


def _planned(
    artifacts: Sources, workspace: Workspace, device: str | None, require_device: bool,
    asked: RunOptions,
) -> list[Planned]:  # fmt: skip
    asked.check()
    profile = load_profile(device) if device else detect()
    found = read_sources(artifacts, workspace)
    placement = place(profile, require_device=require_device, environ=os.environ)
    warn([placement.notice] if placement.notice else [])
    return running.plan(found, profile, placement, asked)


def _on_board(
    host: str, config: AnyPath | None, command: list[str], device: str | None, given: dict[str, Any],
    artifacts: Sequence[Artifact], workspace: Workspace, images: Path | None = None,
) -> list[Result]:  # fmt: skip
    board, arguments = Host(host, Path(config) if config else None), orders.arguments(given)
    asked = (*command, *orders.on_device(device), *arguments)
    found, said = orders.results(board, asked, artifacts, workspace, printable, images=images)
    warn(said)
    return found


def read_results(side: Results) -> list[Result]:
    """The results of a workspace, a folder or a file, or the given ones."""
    if isinstance(side, (str, os.PathLike)):
        found, problems = judging.load(Path(side))
        warn(problem.message for problem in problems)
        return found
    return [side] if isinstance(side, Result) else list(side)


def warn(sentences: Iterable[str]) -> None:
    """Warn of each sentence."""
    for sentence in sentences:
        warnings.warn(sentence, stacklevel=4)
