"""Does everything learn? One epoch on 512 images of CIFAR-10 for each backbone: the loss at its begin and its end.

.venv/bin/python scripts/bench_backbones.py CIFAR_FOLDER [--image-size 32] [--models resnet50,coatnet]

CIFAR_FOLDER holds cifar-10-batches-py. Each network is adapted to the small images, begins with random weights, and
takes 32 steps of 16 images with the default recipe but for a smaller learning rate (--lr), since so few steps are no
time to come back from large ones; then it is stopped, before the 10,000 test images are judged.

Prints a Markdown table, the seconds with reading and building. Exit code 1 if the mean loss of the last quarter of the
steps is not below that of the first.
"""

import argparse
import contextlib
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from edgebench.records.recipe import TrainConfig
from edgebench.specs import ModelInfo
from edgebench.training import listening, loop, models
from edgebench.training.short_names import GROUPS

SEVEN = list(GROUPS["the seven backbones"])
HYBRIDS = ["coatnet", "caformer", "poolformer"]
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--models", default=",".join(SEVEN + HYBRIDS))
    parser.add_argument("--lr", type=float, default=1e-4)
    given = parser.parse_args()
    print("| model | parameters M | GMACs | loss of the first step | of the first quarter | of the last | seconds |")
    print("|---|---|---|---|---|---|---|")
    fell = True
    for model in given.models.split(","):
        losses, seconds, info = one_epoch(model, given.cifar, given.image_size, given.lr)
        quarter = len(losses) // 4
        first, last = statistics.fmean(losses[:quarter]), statistics.fmean(losses[-quarter:])
        fell &= last < first and math.isfinite(last)
        told = f"{losses[0]:.3f} | {first:.3f} | {last:.3f} | {seconds:.0f}"
        print(f"| {model} | {info.parameters / 1e6:.1f} | {info.macs / 1e9:.3f} | {told} |", flush=True)
    sys.exit(not fell)


def one_epoch(model: str, cifar: Path, image_size: int, lr: float) -> tuple[list[float], float, ModelInfo]:
    """The loss of each step, the seconds that they took, and the network."""
    means: list[float] = []

    class Enough(Exception):
        pass

    def on_step(step: listening.TrainingStep) -> None:
        means.append(step.loss)
        if step.step == step.steps:
            raise Enough

    # Of these, eight of each class are taken for validation: 512 are left.
    config = TrainConfig(
        model=model, dataset=str(cifar / "cifar-10-batches-py"), subset="592", image_size=image_size, batch_size=BATCH,
        epochs=1, lr=lr,
    )  # fmt: skip
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, contextlib.suppress(Enough):
        loop.train(config, Path(scratch, "checkpoint"), listener=listening.Listener(on_step=on_step))
    seconds = time.monotonic() - began
    losses = [
        n * mean - (n - 1) * before for n, (before, mean) in enumerate(zip([0.0, *means[:-1]], means, strict=True), 1)
    ]
    with torch.device("meta"):
        return losses, seconds, models.build(model, 10, image_size, 0)[1]


if __name__ == "__main__":
    main()
