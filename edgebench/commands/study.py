"""`edgebench study`: several trainings that differ in one thing, and what that thing does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options, _training
from edgebench.records.recipe import TrainConfig, absolute, folder_name

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace
    from edgebench.specs import Artifact


def _list(kind: Callable[[str], Any]) -> Callable[..., list[Any]]:
    """A callback for options of several values, separated by commas."""

    def parsed(ctx: click.Context, parameter: click.Parameter, text: str) -> list[Any]:
        from edgebench.errors import UsageError

        try:
            found = [kind(item.strip()) for item in text.split(",") if item.strip()]
        except ValueError:
            found = []
        if not found:
            raise UsageError(f"{parameter.opts[0]} {text!r} is no list", f"for example {parameter.metavar}")
        return list(dict.fromkeys(found))

    return parsed


def _shared(*varied: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of all studies: those of `edgebench train` but for what a study varies itself."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it: FILE.png."),
            _options.config, _options.workspace, _options.as_json,
        ):  # fmt: skip
            function = option(function)
        function = _options.settings(TrainConfig, without=("model", *varied))(function)
        return click.option(
            "--models", default=TrainConfig.model, show_default=True, metavar="mobilenetv3,resnet50",
            callback=_list(str), help="What --model of `edgebench train` takes, several separated by commas.",
        )(function)  # fmt: skip

    return decorated


@click.group(
    epilog="""\b
Examples:
  edgebench study convergence --models mobilenetv3,resnet50
  edgebench study samples --dataset cifar10 --subsets 5000,10000,full
  edgebench study batch-size --sizes 32,64,128"""
)
def command() -> None:
    """Train several times and show what the epochs, the number of images or the batch size do.

    A training whose checkpoint is in the workspace is not done again, and one that was killed goes on.
    """


@command.command(
    epilog="""\b
Examples:
  edgebench study convergence --reach 0.8,0.9,0.95
  edgebench study convergence --models mobilenetv3,resnet50 --dataset cifar10 --subset 5000 --plot convergence.png"""
)
@click.option(
    "--reach", default="0.5,0.8,0.9,0.95", show_default=True, metavar="0.8,0.9", callback=_list(float),
    help="Validation accuracies to wait for.",
)  # fmt: skip
@_shared()
def convergence(
    reach: list[float], models: list[str], plot: Path | None, workspace: Workspace, as_json: bool, **given: Any
) -> None:
    """After how many epochs and seconds a given accuracy is reached."""
    from edgebench.errors import UsageError

    if wrong := [share for share in reach if not 0 < share <= 1]:
        raise UsageError(f"--reach holds {wrong[0]:g}", "accuracies are shares such as 0.9")
    checkpoints = _train([{"model": model} for model in models], given, workspace, plot)
    from edgebench.report.trainings import plot_convergence
    from edgebench.training import study

    if plot:
        plot_convergence(checkpoints, plot)
    _show(study.convergence(checkpoints, sorted(reach)), as_json, plot)


@command.command(
    epilog="""\b
Examples:
  edgebench study samples --subsets 200,500,full --seeds 0,1,2
  edgebench study samples --models mobilenetv3,deit_small --dataset cifar10 --subsets 5000,10000,50000 --plot s.png"""
)
@click.option(
    "--subsets", default="0.1,0.3,full", show_default=True, metavar="5000,10000,full", callback=_list(str),
    help="What --subset of `edgebench train` takes, several separated by commas.",
)  # fmt: skip
@click.option("--seeds", default="0,1,2", show_default=True, metavar="0,1,2", callback=_list(int), help="One run each.")
@_shared("subset", "seed")
def samples(
    subsets: list[str], seeds: list[int], models: list[str], plot: Path | None, workspace: Workspace, as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Test accuracy against the number of training images, over several seeds."""
    varied = [{"model": m, "subset": n, "seed": s} for m in models for n in subsets for s in seeds]
    checkpoints = _train(varied, given, workspace, plot)
    from edgebench.report.trainings import plot_samples
    from edgebench.training import study

    if plot:
        plot_samples(checkpoints, plot)
    _show(study.samples(checkpoints), as_json, plot)


@command.command(
    "batch-size",
    epilog="""\b
Examples:
  edgebench study batch-size --sizes 16,64,256 --epochs 3
  edgebench study batch-size --models resnet50 --dataset cifar10 --subset 5000 --plot batch.png""",
)
@click.option(
    "--sizes", default="16,32,64,128,256", show_default=True, metavar="32,64,128", callback=_list(int),
    help="Batch sizes, one run each.",
)  # fmt: skip
@_shared("batch_size")
def batch_size(
    sizes: list[int], models: list[str], plot: Path | None, workspace: Workspace, as_json: bool, **given: Any
) -> None:
    """Training speed and accuracy against the batch size, and which sizes fit into memory."""
    checkpoints = _train([{"model": m, "batch_size": n} for m in models for n in sizes], given, workspace, plot)
    from edgebench.report.trainings import plot_batch_sizes
    from edgebench.training import study

    if plot:
        plot_batch_sizes(checkpoints, plot)
    _show(study.batch_sizes(checkpoints), as_json, plot)


def _train(
    varied: list[dict[str, Any]], given: dict[str, Any], workspace: Workspace, plot: Path | None
) -> list[Artifact]:
    """A checkpoint for each set of settings; all of them are checked before the first one is trained."""
    from functools import partial

    from edgebench.errors import EdgebenchError, UsageError
    from edgebench.training import data
    from edgebench.training.requirements import require_training_libraries

    if plot and plot.suffix != ".png":
        raise UsageError(f"--plot {plot} is no PNG", "end it in .png")
    configs = [absolute(TrainConfig(**(given | settings))) for settings in varied]
    for config in configs:
        config.check()
    require_training_libraries()
    from edgebench.training import models, tracking
    from edgebench.training.loop import train

    dataset = data.find(configs[0].dataset, configs[0].data_dir)
    for config in configs:
        models.resolve(config.model)
        data.check(dataset, config.subset)
    checkpoints = []
    for number, (config, settings) in enumerate(zip(configs, varied, strict=True), 1):
        out = workspace.checkpoints / folder_name(config, dataset.name)
        with _training.Progress() as progress:
            progress.say(f"training {number} of {len(configs)}: {', '.join(f'{k} {v}' for k, v in settings.items())}")
            track = partial(tracking.open, folder=workspace.root / "logs" / out.name)
            run = partial(train, track=track, listener=progress.listener())
            checkpoints.append(_trained(config, out, run))
        if checkpoints[-1].training.interrupted:
            raise EdgebenchError("the study was interrupted", "the same command goes on with it")
    return checkpoints


def _trained(config: TrainConfig, out: Path, train: Callable[..., Artifact]) -> Artifact:
    """The checkpoint in `out` if it is there and whole, else the one that `train(config, out, resume=…)` makes."""
    from edgebench import artifact
    from edgebench.training.resuming import SavedRun

    if (out / "checkpoint.json").is_file():
        found = artifact.read(out)
        if not found.training.interrupted:
            return found
    return train(config, out, resume=SavedRun(out).exists())


def _show(rows: list[Any], as_json: bool, plot: Path | None) -> None:
    import sys

    from rich.console import Console

    from edgebench.records import jsonio
    from edgebench.report import trainings

    if as_json:
        click.echo(jsonio.dumps(rows, indent=1))
        return
    Console(width=None if sys.stdout.isatty() else 160).print(trainings.terminal(rows))
    if plot:
        click.echo(f"plot: {plot}")
