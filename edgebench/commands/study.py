"""`edgebench study`: several trainings that differ in one thing, and what that thing does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options, _training
from edgebench.records.recipe import TrainConfig

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace
    from edgebench.training.listening import Listener
    from edgebench.training.studying import StudyKind


def _list(kind: Callable[[str], Any]) -> Callable[..., list[Any]]:
    """A callback for an option that takes several values, separated by commas."""

    def parsed(ctx: click.Context, parameter: click.Parameter, text: str) -> list[Any]:
        from edgebench.errors import UsageError

        try:
            found = [kind(item.strip()) for item in text.split(",") if item.strip()]
        except ValueError:
            found = []
        if not found:
            raise UsageError(f"{parameter.opts[0]} {text!r} is not a list", f"for example {parameter.metavar}")
        return list(dict.fromkeys(found))

    return parsed


def _shared(*varied: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of all studies: those of `edgebench train`, except for what the study varies itself."""

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw it into FILE.png."),
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
    """Train several times and show the effect of the epochs, the number of images or the batch size.

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
    help="Validation accuracies to reach.",
)  # fmt: skip
@_shared()
def convergence(
    reach: list[float], models: list[str], plot: Path | None, workspace: Workspace, as_json: bool, **given: Any
) -> None:
    """Show after how many epochs and seconds each accuracy is reached."""
    _study("convergence", workspace, as_json, plot, models=models, reach=reach, settings=given)


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
@click.option(
    "--seeds", default="0,1,2", show_default=True, metavar="0,1,2", callback=_list(int), help="Seeds, one run each."
)
@click.option(
    "--targets", default="0.8,0.9,0.95,0.99", show_default=True, metavar="0.9,0.95", callback=_list(float),
    help="Test accuracies: how many training images do they probably take?",
)  # fmt: skip
@click.option(
    "--probe/--no-probe", default=True, show_default=True,
    help="Probe networks with learned weights on the same images too.",
)  # fmt: skip
@_shared("subset", "seed")
def samples(
    subsets: list[str], seeds: list[int], targets: list[float], probe: bool, models: list[str], plot: Path | None,
    workspace: Workspace, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Show test accuracy against the number of training images, over several seeds, beside the floor.

    A network that begins with learned weights has a second curve: a probe of its frozen features on the same images.
    Says how many images a higher accuracy probably takes, with a 95 % interval, where the trainings can tell.
    """
    _study(
        "samples", workspace, as_json, plot, models=models, subsets=subsets, seeds=seeds, targets=targets,
        probe=probe, settings=given,
    )  # fmt: skip


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
@_shared("batch_size", "search")
def batch_size(
    sizes: list[int], models: list[str], plot: Path | None, workspace: Workspace, as_json: bool, **given: Any
) -> None:
    """Show training speed and accuracy against the batch size, and which sizes fit into memory."""
    _study("batch-size", workspace, as_json, plot, models=models, sizes=sizes, settings=given)


def _study(kind: StudyKind, workspace: Workspace, as_json: bool, plot: Path | None, **asked: Any) -> None:
    """Do a study, and print or draw its outcome."""
    import sys

    from rich.console import Console

    from edgebench.records import jsonio
    from edgebench.report import trainings
    from edgebench.training import studying

    trainings.check_plot(plot)
    done = studying.study(kind, workspace=workspace, watch=_watch, **asked)
    if plot:
        trainings.plot(done, plot)
    if as_json:
        told = {"rows": done.rows, "needed": done.needed} if kind == "samples" else done.rows
        click.echo(jsonio.dumps(told, indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(trainings.terminal(done.rows))
    if done.needed:
        console.print(trainings.terminal(done.needed, trainings.NEEDED))
    if plot:
        click.echo(f"plot: {plot}")


@contextlib.contextmanager
def _watch(title: str) -> Iterator[Listener]:
    """Show a training of the study on the terminal."""
    with _training.TrainingProgress() as progress:
        progress.say(title)
        yield progress.listener()
