"""`edgebench train`: makes a TrainConfig of the options, trains, and shows the progress."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _next, _options, _training
from edgebench.records.recipe import TrainConfig, absolute, folder_name

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench train
  edgebench train --model resnet50 --dataset cifar10 --subset 5000 --epochs 20
  edgebench train --model mobilenetv3 --dataset photos/ --init mobilenetv3.safetensors --freeze
  edgebench train --config runs/checkpoints/NAME/config.toml --seed 1
  edgebench train --dataset photos/ --minutes 30 --search 9
  edgebench train --dataset photos/ --distill runs/checkpoints/NAME --unlabelled frames/
  edgebench train --resume
  torchrun --nproc-per-node 2 -m edgebench train --model resnet50 --amp bf16"""
)
@_options.settings(TrainConfig)
@click.option("--download", is_flag=True, help="Fetch CIFAR-10 or CIFAR-100 if it is not in --data-dir.")
@click.option("--resume", is_flag=True, help="Go on with this run where it was killed or interrupted.")
@click.option("--wandb", is_flag=True, help="Log to Weights & Biases too (WANDB_MODE=offline works).")
@click.option("--mlflow", is_flag=True, help="Log to MLflow too: to MLFLOW_TRACKING_URI, or a file in WORKSPACE/logs.")
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard too, in WORKSPACE/logs.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the checkpoint.")
@_options.config
@_options.workspace
@_options.as_json
def command(
    workspace: Workspace, out: Path | None, as_json: bool, download: bool, resume: bool, wandb: bool, mlflow: bool,
    tensorboard: bool, **given: Any,
) -> None:  # fmt: skip
    """Train a backbone and keep the checkpoint that is best on validation.

    The validation images are taken from the training images, unless the dataset has its own; the test split is used
    once, at the end. Ctrl-C after an epoch keeps the best checkpoint so far; --resume goes on with it, or with a run
    that was killed. --search compares settings first, on validation alone. Up to 20,000 images, the floor is shown:
    what methods without a network reach on the same images.
    """
    import os
    import time
    from functools import partial

    from edgebench.records import jsonio, processes
    from edgebench.records.terminal import printable
    from edgebench.records.workspace import need_unfinished
    from edgebench.report import contexts, floors, searches
    from edgebench.training import at_hand, data, tracking
    from edgebench.training.requirements import require_training_libraries

    began = time.monotonic() - processes.age_s()  # what --minutes counts from
    config = absolute(TrainConfig(**given))
    config.check()  # before torch is loaded: a mistyped number or name is told at once
    tracking.check(wandb=wandb, mlflow=mlflow, tensorboard=tensorboard)
    if not resume:
        at_hand.check(config)
    elif out:
        need_unfinished(out)
    with _training.TrainingProgress() as progress:
        dataset = data.of(config, download=download, on_progress=partial(progress.preparing, "bytes"))
        data.check(dataset, config.subset)  # what takes no picture to find out is told before torch is loaded
    out = out or workspace.checkpoints / folder_name(config, dataset.name)
    if resume:
        need_unfinished(out)
    require_training_libraries()
    from edgebench.training.loop import train

    track = partial(
        tracking.open, folder=workspace.root / "logs" / out.name, wandb=wandb, mlflow=mlflow, tensorboard=tensorboard
    )
    if int(os.environ.get("RANK", "0")):  # one of several processes: the first one talks
        train(config, out, resume=resume, answers=workspace.answers, began=began)
        return
    with _training.TrainingProgress() as progress:
        checkpoint = train(
            config, out, resume=resume, answers=workspace.answers, floors=workspace.floors, track=track,
            listener=progress.listener(), began=began,
        )  # fmt: skip
    done = checkpoint.training
    if as_json:
        told = {
            "path": str(checkpoint.path),
            "checkpoint": checkpoint,
            "context": contexts.plain(done.test_classes, done.data),
        }
        click.echo(jsonio.dumps(told, indent=1))
        return
    if done.interrupted:
        click.echo("Interrupted: kept the best checkpoint so far; --resume goes on with the run.", err=True)
    click.echo(
        f"test accuracy {done.test_accuracy:.4f} (validation {done.validation_accuracy:.4f}, epoch "
        f"{done.best_epoch} of {done.config.epochs}) in {done.seconds:.1f} s; {done.data.train} training, "
        f"{done.data.validation} validation, {done.data.test} test images"
    )
    for line in contexts.lines(done.test_classes, done.data):
        click.echo(printable(line))
    if taught := done.distilled:
        frames = f" and {taught.frames:,} unlabelled frames" if config.unlabelled else ""
        click.echo(f"taught by {taught.teacher} ({taught.teaches}) on {done.data.train:,} labelled images{frames}")
    for line in (*searches.lines(done), *floors.lines(done)):
        click.echo(line)
    click.echo(f"checkpoint: {checkpoint.path}")
    _next.tell(f"export {shlex.quote(str(checkpoint.path))} --target onnx")
