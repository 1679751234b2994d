"""Does everything learn? One epoch on 512 images of CIFAR-10 for each backbone: the loss at its begin and its end.

.venv/bin/python scripts/bench_backbones.py CIFAR_FOLDER [--image-size 32] [--models resnet50,coatnet]

CIFAR_FOLDER holds cifar-10-batches-py. Each network is adapted to the small images, begins with random weights, and
takes 32 steps of 16 images with the default recipe. Prints a Markdown table; exit code 1 if a loss does not fall.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

from edgebench import train
from edgebench.models import GROUPS
from edgebench.recipe import TrainConfig

SEVEN = list(next(iter(GROUPS.values())))
HYBRIDS = ["coatnet", "caformer", "poolformer"]
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--models", default=",".join(SEVEN + HYBRIDS))
    given = parser.parse_args()
    print("| model | parameters M | GMACs | loss of the first quarter | of the last | images/s | seconds |")
    print("|---|---|---|---|---|---|---|")
    fell = True
    for model in given.models.split(","):
        means = []
        # Of these, eight of each class are taken for validation: 512 are left.
        config = TrainConfig(
            model=model, dataset=str(given.cifar / "cifar-10-batches-py"), subset="592", image_size=given.image_size,
            batch_size=BATCH, epochs=1,
        )  # fmt: skip
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as scratch:
            listener = train.Listener(lambda step, means=means: means.append(step.loss))
            done = train.train(config, Path(scratch, "checkpoint"), listener=listener)
        losses = [
            n * mean - (n - 1) * before
            for n, (before, mean) in enumerate(zip([0.0, *means[:-1]], means, strict=True), 1)
        ]
        quarter = len(losses) // 4
        first, last = statistics.fmean(losses[:quarter]), statistics.fmean(losses[-quarter:])
        fell &= last < first and math.isfinite(last)
        print(
            f"| {model} | {done.model.parameters / 1e6:.1f} | {done.model.macs / 1e9:.3f} | {first:.3f} | {last:.3f} "
            f"| {done.training.data.train / done.training.seconds:.0f} | {time.monotonic() - began:.0f} |",
            flush=True,
        )
    sys.exit(not fell)


if __name__ == "__main__":
    main()
