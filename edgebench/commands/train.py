"""`edgebench train`: options to a TrainConfig, and the run's progress to the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import options
from edgebench.recipe import TrainConfig

if TYPE_CHECKING:
    from edgebench.train import Step
    from edgebench.workspace import Workspace


def need_training_libraries() -> None:
    """Load torch and what else training needs. Raises Unsupported that says how to install what is missing."""
    import os

    from edgebench.errors import Unsupported

    # OpenMP's threads spin while they wait for each other. Where another program has a core they wait for each other's
    # turn: seen, 50 times slower. Spinning some 30 µs and sleeping then costs little alone. Read when torch loads.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
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
  edgebench train --model resnet50 --dataset cifar10 --subset 5000 --epochs 20
  edgebench train --model mobilenetv3 --dataset photos/ --init-weights mobilenetv3.safetensors --freeze
  edgebench train --config runs/checkpoints/NAME/config.toml --seed 1
  edgebench train --resume
  torchrun --nproc-per-node 2 -m edgebench train --model resnet50 --amp bf16"""
)
@options.settings(TrainConfig)
@click.option("--download", is_flag=True, help="Fetch CIFAR-10 or CIFAR-100 if it is not in --data-dir.")
@click.option("--resume", is_flag=True, help="Go on with this run where it was killed or interrupted.")
@click.option("--wandb", is_flag=True, help="Log to Weights & Biases too (WANDB_MODE=offline works).")
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard too, in WORKSPACE/logs.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the checkpoint.")
@options.config
@options.workspace
@options.as_json
def command(
    workspace: Workspace, out: Path | None, as_json: bool, download: bool, resume: bool, wandb: bool, tensorboard: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Train a backbone and keep the checkpoint that is best on validation.

    The validation images are taken from the training images; the test split is used once, at the end. Ctrl-C after an
    epoch keeps the best checkpoint so far; --resume goes on with it, or with a run that was killed.
    """
    import os
    from functools import partial

    from edgebench import data, jsonio

    config = absolute(TrainConfig(**given))
    config.check()  # before torch is loaded: a mistyped number or name is told at once
    with Progress() as progress:
        dataset = data.find(
            config.dataset, _path(config.data_dir), download=download, on_progress=partial(progress.preparing, "bytes")
        )
    need_training_libraries()
    from edgebench import tracking, train

    out = out or workspace.checkpoints / folder_name(config, dataset.name)
    track = partial(tracking.open, folder=workspace.root / "logs" / out.name, wandb=wandb, tensorboard=tensorboard)
    if int(os.environ.get("RANK", "0")):  # one of several processes: the first one talks
        train.train(config, out, resume=resume)
        return
    with Progress() as progress:
        listener = train.Listener(progress.show, progress.say, partial(progress.preparing, "images"))
        checkpoint = train.train(config, out, resume=resume, track=track, listener=listener)
    training = checkpoint.training
    if as_json:
        click.echo(jsonio.dumps({"path": str(checkpoint.path), "checkpoint": checkpoint}, indent=1))
        return
    if training.interrupted:
        click.echo("Interrupted: kept the best checkpoint so far; --resume goes on with the run.", err=True)
    click.echo(
        f"test accuracy {training.test_accuracy:.4f} (validation {training.validation_accuracy:.4f}, epoch "
        f"{training.best_epoch} of {config.epochs}) in {training.seconds:.1f} s; {training.data.train} training, "
        f"{training.data.validation} validation, {training.data.test} test images"
    )
    click.echo(f"checkpoint: {checkpoint.path}")
    click.echo(f"next: edgebench export {checkpoint.path} --target onnx")


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def absolute(config: TrainConfig) -> TrainConfig:
    """The config with whole paths, so that what a checkpoint records can be used from any folder."""
    from dataclasses import replace

    whole = {
        name: str(Path(value).expanduser().absolute())
        for name in ("dataset", "data_dir", "init_weights")
        if (value := getattr(config, name)) and (name != "dataset" or Path(value).expanduser().is_dir())
    }
    return replace(config, **whole)


def folder_name(config: TrainConfig, dataset: str) -> str:
    """The same recipe gets the same folder, another recipe another."""
    import hashlib

    from edgebench import jsonio

    model = config.model.rpartition("/")[2]
    plain = ("".join(c if c.isalnum() or c in "_-" else "_" for c in name) for name in (model, dataset))
    return f"{'-'.join(plain)}-{hashlib.sha256(jsonio.dumps(config).encode()).hexdigest()[:8]}"


class Progress:
    """A live bar on a terminal; elsewhere (a log, CI) a line an epoch."""

    def __enter__(self) -> Progress:
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

    def say(self, sentence: str) -> None:
        self._console.print(sentence, highlight=False, markup=False)

    def preparing(self, what: str, done: int, total: int) -> None:
        if self._bar:
            self._bar.update(self._task, total=total or None, completed=done, description=f"reading {what}")
        elif done == total:
            self._console.print(f"read {total:,} {what}", highlight=False)

    def __exit__(self, *exc: object) -> None:
        if self._bar:
            self._bar.stop()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
