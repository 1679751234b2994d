"""`edgebench train`: options to a TrainConfig, and the run's progress to the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import options

if TYPE_CHECKING:
    from edgebench.train import Step
    from edgebench.workspace import Workspace


def _need_training_libraries() -> None:
    from edgebench.errors import Unsupported

    try:
        import safetensors  # noqa: F401
        import sklearn  # noqa: F401
        import torch  # noqa: F401

        from edgebench.models import import_timm

        import_timm()
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"training needs the Python module {error.name!r}, which is not installed", "pip install 'edgebench[train]'"
        ) from None


@click.command(
    epilog="""\b
Examples:
  edgebench train
  edgebench train --model resnet50 --subset 500 --epochs 20
  edgebench train --model mobilenetv3_small_100 --seed 1 --out runs/checkpoints/second"""
)
@click.option(
    "--model",
    default="mobilenetv3_small_050",
    show_default=True,
    help="A short name or a timm name: `edgebench models`.",
)
@click.option(
    "--dataset", default="digits", show_default=True, help="Which images: digits, 1,797 real handwritten ones."
)
@click.option(
    "--subset", default="full", show_default=True, metavar="full|N|SHARE", help="Labelled images to use, stratified."
)
@click.option("--epochs", type=int, default=15, show_default=True)
@click.option("--batch-size", type=int, default=64, show_default=True)
@click.option("--lr", type=float, default=5e-3, show_default=True, help="Peak learning rate of AdamW.")
@click.option("--weight-decay", type=float, default=0.02, show_default=True)
@click.option("--label-smoothing", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True)
@click.option(
    "--shift",
    type=click.FloatRange(0, 0.5),
    default=0.1,
    show_default=True,
    help="Augmentation: move each image by up to this share of its size.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Same seed, same machine: same weights, bit for bit."
)
@click.option("--image-size", type=int, help="Pixels of the square images.  [default: the dataset's]")
@click.option("--threads", type=int, help="CPU threads.  [default: as many as the network is worth]")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the checkpoint.")
@options.workspace
@options.as_json
def command(workspace: Workspace, out: Path | None, as_json: bool, **given: Any) -> None:
    """Train a backbone and keep the checkpoint that is best on validation.

    The test split is used once, at the end. Ctrl-C after an epoch keeps the best checkpoint so far.
    """
    import os

    # OpenMP's threads spin while they wait for each other. Where another program has a core they wait for each other's
    # turn: seen, 50 times slower. Spinning some 30 µs and sleeping then costs little alone. Read when torch loads.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    from edgebench import data, jsonio
    from edgebench.specs import TrainConfig

    given["image_size"] = given["image_size"] or data.find(given["dataset"]).image_size
    config = TrainConfig(**given)
    config.check()  # before torch is loaded: a mistyped number is told at once
    _need_training_libraries()
    from edgebench import train

    out = out or workspace.checkpoints / _name(config)
    with _Progress() as progress:
        checkpoint = train.train(config, out, progress.show)
    training = checkpoint.training
    if as_json:
        click.echo(jsonio.dumps({"path": str(checkpoint.path), "checkpoint": checkpoint}, indent=1))
        return
    if training.interrupted:
        click.echo("Interrupted: kept the best checkpoint so far.", err=True)
    click.echo(
        f"test accuracy {training.test_accuracy:.4f} (validation {training.validation_accuracy:.4f}, epoch "
        f"{training.best_epoch} of {config.epochs}) in {training.seconds:.1f} s; {training.data.train} training, "
        f"{training.data.validation} validation, {training.data.test} test images"
    )
    click.echo(f"checkpoint: {checkpoint.path}")
    click.echo(f"next: edgebench export {checkpoint.path} --target onnx")


def _name(config: Any) -> str:
    """The same recipe gets the same folder, another recipe another."""
    import hashlib

    from edgebench import jsonio

    plain = "".join(c if c.isalnum() or c in "_-" else "_" for c in config.model)
    return f"{plain}-{config.dataset}-{hashlib.sha256(jsonio.dumps(config).encode()).hexdigest()[:8]}"


class _Progress:
    """A live bar on a terminal; elsewhere (a log, CI) a line an epoch."""

    def __enter__(self) -> _Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        console = Console(stderr=True)
        self._console, self._bar = console, None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                console=console,
            )
            self._task = self._bar.add_task("preparing", total=None, figures="")
            self._bar.start()
        return self

    def show(self, step: Step) -> None:
        figures = f"loss {step.loss:.3f} acc {step.accuracy:.3f}"
        if step.validation_accuracy is not None:
            figures += f" val {step.validation_accuracy:.3f}"
        figures += f" {step.images_per_s:.0f} images/s {_clock(step.seconds_left)} left"
        if self._bar:
            total, done = step.epochs * step.steps, (step.epoch - 1) * step.steps + step.step
            description = f"epoch {step.epoch}/{step.epochs}"
            self._bar.update(self._task, total=total, completed=done, description=description, figures=figures)
        elif step.step == step.steps:
            self._console.print(f"epoch {step.epoch}/{step.epochs} {figures}", highlight=False)

    def __exit__(self, *exc: object) -> None:
        if self._bar:
            self._bar.stop()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
