"""`edgebench probe`: what frozen backbones know about these images, and at what latency."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _next, _options, _training
from edgebench.records.recipe import TrainConfig

if TYPE_CHECKING:
    from edgebench.choosing.probes import Probes
    from edgebench.records.workspace import Workspace

SETTINGS = (
    "dataset", "data_dir", "layout", "labels", "group_by", "near_copies", "skip_conflicts", "subset", "adapt",
    "skip_broken", "stream", "licence", "flip", "floor",
    "seed",
)  # fmt: skip


def names(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """`--models a,b` and `--models a --models b` alike."""
    return tuple(dict.fromkeys(name.strip() for item in given for name in item.split(",") if name.strip()))


def sizes(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[int, ...]:
    from edgebench.errors import UsageError

    try:
        return tuple(int(size) for size in names(ctx, parameter, given))
    except ValueError:
        raise UsageError(f"--image-size {','.join(given)!r} is no list of sizes", "for example 160,224") from None


@click.command(
    epilog="""\b
Examples:
  edgebench probe --models mobilenetv3,resnet50,deit_small --dataset photos/
  edgebench probe --models tf_efficientnet_lite0 --dataset cifar10 --subset 1000 --init lite0.safetensors
  edgebench probe --models resnet18 --image-size 128,160,224 --dataset photos/ --no-latency"""
)
@click.option("--models", required=True, multiple=True, metavar="NAME,…", callback=names, help="The backbones.")
@click.option(
    "--image-size", "image_sizes", multiple=True, metavar="PIXELS,…", callback=sizes,
    help="Pixels of the square images; several are tried one after another.  [default: what the weights were made for]",
)  # fmt: skip
@_options.init
@_options.settings(
    TrainConfig, only=SETTINGS, seed={"help": "Of the splits."},
    flip={"help": "Use mirror images for training too.  [default: where the dataset allows it]"},
)  # fmt: skip
@click.option("--download", is_flag=True, help="Fetch CIFAR-10 or CIFAR-100 if it is not in --data-dir.")
@click.option("--latency/--no-latency", default=True, help="Export each network, and measure its latency briefly.")
@_options.config
@_options.workspace
@_options.as_json
def command(
    models: tuple[str, ...], image_sizes: tuple[int, ...], inits: dict[str, str], download: bool,
    latency: bool, workspace: Workspace, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Fit classifiers to the frozen features of backbones, and show accuracy beside latency.

    Each image goes through each backbone once. Three heads are tuned on the validation images: linear, nearest
    neighbours, and a kernel. The linear one becomes the classifier of an ordinary checkpoint, which is judged on the
    test split once, beside the floor: what methods without a network reach on these images. Features are kept in
    WORKSPACE/features: only new or changed images are computed again.
    """
    from functools import partial

    from edgebench.choosing import probes
    from edgebench.records import jsonio
    from edgebench.training import at_hand, data
    from edgebench.training.requirements import require_training_libraries

    config = TrainConfig(**given)
    inits = _by_model(models, inits)
    for model in models:
        at_hand.check_model(model)
    with _training.TrainingProgress() as progress:
        data.of(config, download=download, on_progress=partial(progress.preparing, "bytes"))
    require_training_libraries()
    from edgebench.training.probing import Told

    with _training.TrainingProgress() as progress:
        told = Told(progress.say, progress.counting, progress.fetching)
        done = probes.probe(
            config, models, image_sizes, inits, workspace, measure=latency, told=told, tell=progress.say
        )
    _show(done, jsonio.dumps(done, indent=1) if as_json else "")


def _by_model(models: tuple[str, ...], given: dict[str, str]) -> dict[str, str]:
    """By model, what it begins with. Raises UsageError for a file of which it is not said whose it is."""
    from edgebench.errors import UsageError
    from edgebench.records.recipe import NAMED_BEGINNINGS

    named = dict(given)
    if (how := named.pop("", None)) is None:
        return named
    if how not in NAMED_BEGINNINGS and len(models) != 1:
        raise UsageError(f"--init {how}: of which model?", f"for example {models[0]}={how}")
    return dict.fromkeys(models, how) | named


def _show(done: Probes, text: str) -> None:
    import sys
    from pathlib import Path

    from rich.console import Console

    from edgebench import artifact
    from edgebench.report import floors, probed

    if text:
        click.echo(text)
        return
    Console(width=None if sys.stdout.isatty() else 200).print(probed.terminal(done.rows))
    for sentence in probed.remarks(done.rows):
        click.echo(sentence)
    best = done.rows[0]
    for line in floors.lines(artifact.read(Path(best.checkpoint), verify=False).training):
        click.echo(line)
    click.echo(f"best on validation: {best.checkpoint}")
    _next.tell(f"export {shlex.quote(str(best.checkpoint))} --target onnx")
