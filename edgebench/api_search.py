"""More of the commands, as functions: adopt, compare, data, estimate, history, pick, probe, study, sweep and tune."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.adopting import adopt as adopting
from edgebench.adopting.opener import LIMIT_S
from edgebench.api import AnyPath, Results, Source, read_results, read_source, read_sources, several, warn, with_values
from edgebench.choosing import confidence, picking, probes, ready_pick, tuning
from edgebench.choosing.limits import Limits, Prefer, documented
from edgebench.choosing.picked import Asked, Picked
from edgebench.choosing.probes import Probes
from edgebench.choosing.tuned import Goal, Tuned
from edgebench.comparing import history as histories
from edgebench.comparing import judging, ratio
from edgebench.comparing.history import Histories
from edgebench.comparing.judging import Comparison
from edgebench.errors import UsageError
from edgebench.machine import locks, stated
from edgebench.records.account import Account
from edgebench.records.beginning import Licence
from edgebench.records.recipe import TrainConfig
from edgebench.records.workspace import Workspace
from edgebench.report import deploy, trainings
from edgebench.specs import Artifact, Precision
from edgebench.sweeping import plan as plans
from edgebench.sweeping import sweep as sweeping
from edgebench.sweeping.sweep import EngineName, Swept
from edgebench.sweeping.work import SweepState
from edgebench.training import studying
from edgebench.training.studying import Study, StudyKind

if TYPE_CHECKING:
    from edgebench.api import Sources
    from edgebench.estimating.model_floor import ModelFloor
    from edgebench.training.listening import Listener
    from edgebench.training.probing import Told


def data(
    dataset: AnyPath, *, sheet: AnyPath | None = None, image_size: int | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None, **settings: Any,
) -> Account:  # fmt: skip
    """What is in a folder of pictures: how it is understood, and what becomes of each file: `data("photos/")`.

    `account.found` is the sum of `account.used` by split and of the counts of `account.left_out`, each of which has a
    `reason` and the first `names`; `account.balance` counts the pictures of each class by split, in the order of
    `account.classes`. `settings` are fields of `TrainConfig` that say how it is understood and split: data_dir, layout,
    labels, group_by, near_copies, skip_conflicts, subset, seed. `sheet`: a PNG file for a few pictures of each class,
    as a network sees them at `image_size`. `tell(done, total)` counts the files that are looked at.
    Raises UsageError for settings that make no sense, BadFile for a folder that is no dataset.
    """
    from edgebench.training import data as datasets
    from edgebench.training.data import sheet as sheets

    config = with_values(TrainConfig(dataset=os.fspath(dataset), image_size=image_size), settings, "setting")
    config.check()
    if sheet is not None:
        sheets.check(Path(sheet))
    found = datasets.of(config)
    account = datasets.account(found, config.subset, config.seed, tell)
    if sheet is not None:
        size = image_size or found.image_size
        few = datasets.few(found, config.subset, size, config.seed, each=sheets.EACH, most_classes=sheets.MOST_CLASSES)
        sheets.draw(few, account, Path(sheet))
    return account


def adopt(
    file: AnyPath, *, model: str = "", name: str = "", shapes: Mapping[str, Sequence[int]] | None = None,
    inputs: AnyPath | Sequence[AnyPath] = (), preprocess: str = "", seed: int = 0, out: AnyPath | None = None,
    time_limit_s: float = LIMIT_S, workspace: AnyPath = "runs", tell: Callable[[str], None] = lambda stage: None,
) -> Artifact:  # fmt: skip
    """Make an artifact of a model that edgebench did not train: `adopt("detector.onnx", shapes={"images": (1, 3, 640,
    640)})`.

    `file` may be "timm:NAME", a pretrained classifier as it is, or weights (.safetensors, .pth, .pt, .bin), of which
    `model` says to what network they belong: a name of timm's, or "FILE.py:function", which is executed.
    `shapes`: the sizes of inputs by name, for dimensions that the file leaves open. `inputs`: `.npz` files with a
    request each, an array for each input by its name, or pictures and folders of them; without them, requests are
    generated from `seed`. `preprocess`: how a picture becomes the input: "imagenet", "unit,order=bgr". `time_limit_s`:
    for opening the model, and for each answer. The artifact's `adopted` says where its inputs come from and which
    runtime's answers on this CPU all others are compared with.
    Raises BadFile for a file that cannot be measured, UsageError for shapes or inputs that it does not take.
    """
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    return adopting.adopt(
        Path(file), Workspace(Path(workspace)), network=model, name=name,
        shapes={key: tuple(sizes) for key, sizes in (shapes or {}).items()},
        inputs=[Path(path) for path in given], preprocess=preprocess, seed=seed,
        time_limit_s=time_limit_s, out=Path(out) if out else None, tell=tell,
    )  # fmt: skip


def estimate(
    artifacts: Sources = None, *, workspace: AnyPath = "runs", device: str | None = None, batch: int = 1,
    here: bool = True,
) -> list[ModelFloor]:  # fmt: skip
    """How long artifacts take at least on a device: a floor from its peaks, by layers: `estimate("net.onnx")`.

    `device` (of a profile) and `here` (of this machine, which a benchmark measures) of each have `floor.floor_ms`,
    milliseconds a request of `batch` images, and `measured`, with its `ratio`. Layers are read from ONNX: another
    artifact stands for the ONNX one beside it. Raises UsageError without one, Unsupported where no peaks are known.
    """
    from edgebench.estimating import model_floor

    stated.check(device=device)
    where = Workspace(Path(workspace))
    return model_floor.estimate(
        read_sources(artifacts, where), where, device=device, batch=batch, here=here, named=artifacts is not None,
        on_left_out=lambda sentence: warn([sentence]),
    )  # fmt: skip


def tune(
    source: Source | None = None, *, workspace: AnyPath = "runs", device: str | None = None, goal: Goal = "latency",
    precisions: Sequence[Precision] = (), accuracy_drop: float = 0.01, runtime: str | Sequence[str] = (),
    compute: str | None = None, duration_s: float = 3.0, export: bool = True, images: AnyPath | None = None,
    calibration: AnyPath | Sequence[AnyPath] = (), tell: Callable[[str], None] = lambda phase: None,
) -> Tuned:  # fmt: skip
    """Find the fastest setting of a network on a device: runtime, precision, threads; for throughput batch and streams.

    `source`: a checkpoint or an artifact of it, or a model file from elsewhere, with `calibration` for int8 as in
    `export`. `tuned.best` is a `Trial`: `median_ns` (nanoseconds per request),
    `throughput_per_s` (images per second), and the `runtime`, `precision`, `threads`, `batch` and `streams` that
    reached them. `tuned.speedup(tuned.eager)` is the speed relative to PyTorch. A lower precision may lose
    `accuracy_drop`, a share of the validation images. The last round measures for `duration_s`. With `export`, missing
    artifacts are exported first; an export that fails gives a warning. Raises UsageError for options that make no
    sense, EdgebenchError if nothing could be measured.
    """
    where = Workspace(Path(workspace))
    stated.check(several(runtime), compute, device=device)
    start = where.newest_source() if source is None else read_source(source, where)
    return tuning.tune(
        start, where, device=device, goal=goal, precisions=precisions, accuracy_drop=accuracy_drop,
        runtimes=several(runtime), compute=compute, duration_s=duration_s, export=export,
        images=Path(images) if images else None,
        calibration=[Path(p) for p in ([calibration] if isinstance(calibration, (str, os.PathLike)) else calibration)],
        on_phase=tell, on_wait=lambda: tell(locks.waiting()), on_left_out=lambda said: warn([said]),
    )  # fmt: skip


@documented
def pick(
    dataset: str, *, workspace: AnyPath = "runs", out: AnyPath = "picked", device: str | None = None,
    prefer: Prefer = "accuracy", budget_s: float = ready_pick.BUDGET_S, models: Sequence[str] = (),
    runtime: str | Sequence[str] = (), precisions: Sequence[Precision] = ("fp32",), image_size: int | None = None,
    init: str | dict[str, str] = "auto", licence: Licence = "any", seed: int = 0, layout: str | None = None,
    labels: str | None = None, group_by: str | None = None, near_copies: bool = True, skip_conflicts: bool = False,
    skip_broken: bool = False, race: bool = True, tell: Callable[[str], None] = lambda sentence: None, **limits: float,
) -> Picked:  # fmt: skip
    """Find out what to deploy for images on a device, in about `budget_s` seconds: `pick("photos/", max_p99_ms=20)`.

    `dataset`: a folder of images, or a dataset's name; `layout`, `labels`, `group_by`, `near_copies`, `skip_conflicts`
    and `skip_broken` as in `TrainConfig`, and `init` too, for all candidates or by model; `race` as in `run`. `limits`
    are those of `select`. The folder `out` gets the model, infer.py and the evidence. `picked.artifact` is the model,
    or None if nothing keeps the limits; `picked.decision` says why; `picked.left_out` lists what became of the others.
    Raises UsageError for options that make no sense, EdgebenchError if no candidate could be trained and measured.
    """
    folder, asked = Path(out), with_values(Limits(), limits, "limit")
    asked.check()
    deploy.check(folder)
    ready = ready_pick.prepare(
        dataset, runtimes=deploy.runtimes(Asked.target, several(runtime)), device=device, limits=asked, prefer=prefer,
        budget_s=budget_s, models=models, precisions=precisions, image_size=image_size,
        init=init if isinstance(init, str) else "auto", inits=None if isinstance(init, str) else init,
        licence=licence, seed=seed, layout=layout, labels=labels, group_by=group_by, near_copies=near_copies,
        skip_conflicts=skip_conflicts, skip_broken=skip_broken, race=race,
    )  # fmt: skip
    warn([ready.site.notice] if ready.site.notice else [])
    picked = picking.pick(ready, kept := Workspace(Path(workspace)), tell=tell)
    sure, files = confidence.calibrating(picked, kept, budget_s), list(picked.files)
    return dataclasses.replace(picked, decision=deploy.write(folder, picked.decision, picked.artifact, files, sure))


def probe(
    models: str | Sequence[str], *, workspace: AnyPath = "runs", image_sizes: Sequence[int] = (),
    init: str | Mapping[str, str] = "auto", latency: bool = True, download: bool = False,
    told: Told | None = None, tell: Callable[[str], None] = lambda sentence: None, **settings: Any,
) -> Probes:  # fmt: skip
    """Fit classifiers to frozen features: `probe(["resnet50"], dataset="photos/")`.

    A row of `probes.rows`, the best on validation first, has `frozen.heads` with the accuracy of each head on
    validation, `test_accuracy` of the linear one, which is the classifier of `checkpoint`, and `latency_ns` on
    `runtime` (nanoseconds for an image; None without `latency`). Accuracies are shares in [0, 1]. `image_sizes`: in
    pixels, by default what the weights were made for. `init`: as in `TrainConfig`, or by model. `settings` are fields
    of `TrainConfig`: dataset, data_dir, subset, adapt, flip, seed, … `probes.left_out` says why a backbone was not
    probed. Raises UsageError for settings that make no sense, BadFile for a dataset or weights that cannot be used.
    """
    from edgebench.training import data
    from edgebench.training.requirements import require_training_libraries

    named = several(models)
    config = with_values(TrainConfig(), settings, "setting")
    data.of(config, download=download)
    require_training_libraries()
    from edgebench.training.probing import Told

    inits = dict.fromkeys(named, init) if isinstance(init, str) else dict(init)
    return probes.probe(
        config, named, image_sizes, inits, Workspace(Path(workspace)), measure=latency, told=told or Told(), tell=tell,
    )  # fmt: skip


def sweep(
    plan: AnyPath | None = None, *, workspace: AnyPath = "runs", engine: EngineName = "local",
    address: str | None = None, parallel: int | None = None,
    on_change: Callable[[SweepState], None] = lambda state: None,
    tell: Callable[[str], None] = lambda sentence: None, **values: Any,
) -> Swept:  # fmt: skip
    """Train, export, evaluate and measure every combination: `sweep(models=["resnet18"], seeds=[0, 1])`.

    `values` are the keys of a plan's file (models, subsets, seeds, targets, precisions, runtimes, devices, evaluate,
    and the tables train, export and run, as dicts); they override those of the file `plan`, if given. An entry of
    `swept.cells` has `median_ms` (milliseconds per request), `accuracy` (a share in [0, 1] of the test split), a
    `status` and a `message`: a failure is a status, not an exception. Steps that are done in the workspace are not
    repeated. Ctrl-C keeps what is done and sets `swept.interrupted`. Raises UsageError for values that make no sense in
    a plan.
    """
    told = plans.overlay(plans.read(Path(plan)) if plan else {}, values)
    made = plans.make(told, str(plan) if plan else "the sweep")
    ready = sweeping.prepare(made, Workspace(Path(workspace)), engine=engine, address=address, parallel=parallel)
    warn([*ready.notices, *(f"left out: {sentence}" for sentence in ready.matrix.left_out)])
    return sweeping.sweep(ready, on_change=on_change, say=tell)


def study(
    kind: StudyKind, *, workspace: AnyPath = "runs", models: Sequence[str] = (TrainConfig.model,),
    reach: Sequence[float] = studying.REACH, subsets: Sequence[str] = studying.SUBSETS,
    seeds: Sequence[int] = studying.SEEDS, sizes: Sequence[int] = studying.SIZES,
    targets: Sequence[float] = studying.TARGETS, probe: bool = True, plot: AnyPath | None = None,
    listener: Listener | None = None, tell: Callable[[str], None] = lambda title: None, **settings: Any,
) -> Study:  # fmt: skip
    """Train several times, varying one setting: `study("samples", dataset="photos/", subsets=["100", "full"])`.

    `kind`: "convergence" (a row for each model and accuracy of `reach`: the epoch and the seconds that reach it),
    "samples" (for each of `subsets` the mean test accuracy over `seeds`, with its 95 % interval; with `probe`, that of
    a probe too, where the network begins with learned weights) or "batch-size" (for
    each of `sizes` the images per second, the accuracy, and whether it fits into memory). `study.rows` has them, with
    accuracies as shares in [0, 1]; `study.needed` has how many training images each of `targets` probably takes, from
    "samples". `settings` are the other fields of `TrainConfig`; `plot` is a PNG file to draw. A
    training whose checkpoint is in the workspace is not repeated. Raises UsageError for a setting that makes no sense,
    BadFile for a dataset that cannot be read, Unsupported without torch, EdgebenchError after Ctrl-C.
    """
    for name in studying.VARIED.get(kind, ()):
        if name in settings:
            raise UsageError(f"a study of {kind} varies {name} itself", "leave it out, and give several: see its help")
    with_values(TrainConfig(), settings, "setting")
    drawing = Path(plot) if plot else None
    trainings.check_plot(drawing)

    @contextmanager
    def watch(title: str) -> Iterator[Listener]:
        from edgebench.training.listening import SILENT

        tell(title)
        yield listener or SILENT

    done = studying.study(
        kind, models=models, reach=reach, subsets=subsets, seeds=seeds, sizes=sizes, targets=targets,
        probe=probe, settings=settings,
        workspace=Workspace(Path(workspace)), watch=watch,
    )  # fmt: skip
    if drawing:
        trainings.plot(done, drawing)
    return done


def compare(
    base: Results, new: Results, *, band: float = ratio.BAND, with_history: bool = False, since: datetime | None = None
) -> Comparison:
    """Is new slower than base? One cell for each measurement that both sides made, with a verdict.

    Each side is a workspace, a folder of results, a result's file, or results. `cell.outcome` is "faster", "slower",
    "equivalent", "inconclusive", …; `cell.ratio` is new ÷ base with its 95 % interval (`low`, `high`). A difference
    within ± `band` is ignored. `with_history`: slower also by the `history` of both sides' results from `since` on.
    Raises EdgebenchError if nothing pairs, BadFile for a side that does not exist.
    """
    names = [os.fspath(s) if isinstance(s, (str, os.PathLike)) else n for s, n in ((base, "base"), (new, "new"))]
    given = {"band": band, "names": tuple(names), "with_history": with_history, "since": since}
    return judging.compare(read_results(base), read_results(new), **given)


def history(results: Results = "runs", *, since: datetime | None = None, band: float = ratio.BAND) -> Histories:
    """Each measurement over time: when it became slower or faster, by how much, and what else changed then.

    `results` is a workspace, a folder of results, a result's file, or results. `cell.changes` are steps and creeps,
    `cell.ratio` is the present level ÷ the lowest one since `since`, and `cell.outcome` is "slower" if that is above
    1 + `band`, else "steady", "inconclusive" (the machine itself became slower) or "too few" (results). Raises
    UsageError for a band that makes no sense, BadFile for a place without results.
    """
    return histories.history(read_results(results), since=since, band=band)
