"""Training speed beside timm's own train.py: same network, images, batch, precision and threads, by turns.

.venv/bin/python scripts/bench_training.py TRAIN_PY CIFAR_FOLDER [--rounds 3] [--models mobilenetv3_large_100,resnet50]

TRAIN_PY is train.py of github.com/huggingface/pytorch-image-models; CIFAR_FOLDER holds cifar-10-batches-py. Both train
on 64 × 64 pixels with a batch of 64, fp32, channels last, flips and moved or cropped images; timm's loader has one
worker beside the training threads. Prints images per second of each, their ratio, and the share of our step that the
images take (reading and augmentation, without the network).
"""

import argparse
import contextlib
import itertools
import re
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from edgebench.training import data
from edgebench.training.requirements import require_training_libraries

IMAGE_SIZE, BATCH, THREADS = 64, 64, 2
IMAGES = "cifar10.npz"
# timm beside a CPU-only torch does not import by itself: see models.import_timm. torchvision takes the archive's own
# files alone, by their MD5; its CIFAR10 gets the same images out of a file of numpy's, and works on as it does.
START = f"""
import runpy, sys
import numpy as np
from edgebench.training.models import import_timm
import_timm()
import torch
from torchvision.datasets import CIFAR10, VisionDataset

def read(self, root, train=True, transform=None, **options):
    VisionDataset.__init__(self, root, transform=transform)
    with np.load(f"{{root}}/{IMAGES}") as file:
        self.data, self.targets = file["images"], file["labels"].tolist()

CIFAR10.__init__ = read
torch.set_num_threads({THREADS})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def theirs(train_py: Path, cifar: Path, model: str, steps: int, scratch: Path) -> float:
    """Images a second in the later half of some steps, by the lines that it logs."""
    splits = data.load(str(cifar / "cifar-10-batches-py"), "10000", 32, 0)
    np.savez(scratch / IMAGES, images=splits.train.images[:], labels=splits.train.labels)
    command = [
        sys.executable, "-c", START, str(train_py), "--data-dir", str(scratch), "--dataset", "torch/cifar10",
        "--model", model, "--num-classes", "10", "--img-size", str(IMAGE_SIZE), "-b", str(BATCH), "--epochs", "1",
        "--workers", "1", "--device", "cpu", "--channels-last", "--log-interval", "1", "--opt", "adamw",
        "--output", str(scratch), "--no-prefetcher",
    ]  # fmt: skip
    rates = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            # Time: 0.534s,  119.81/s  (0.612s,  104.55/s): of this step, and on average
            if found := re.search(r"Time: *[\d.]+s, *([\d.]+)/s", line):
                rates.append(float(found[1]))
            if len(rates) >= steps:
                process.kill()
    if len(rates) < steps:
        sys.exit(f"timm's train.py ended early:\n{''.join(lines[-15:])}")
    return statistics.median(rates[steps // 2 :])


def ours(cifar: Path, model: str, steps: int, scratch: Path) -> float:
    """`our_steps` in a process of its own, as timm's."""
    given = ["--models", model, "--steps", str(steps), "--ours", str(scratch)]
    command = [sys.executable, __file__, "-", str(cifar), *given]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def our_steps(cifar: Path, model: str, steps: int, scratch: Path) -> float:
    """Images a second in the later half of some steps, from the times of the steps."""
    require_training_libraries()
    from edgebench.records.recipe import TrainConfig
    from edgebench.training.listening import Listener, TrainingStep
    from edgebench.training.loop import train

    moments = []

    class Enough(Exception):
        pass

    def on_step(step: TrainingStep) -> None:
        moments.append(time.perf_counter())
        if len(moments) > steps:
            raise Enough

    config = TrainConfig(
        model=model, dataset=str(cifar / "cifar-10-batches-py"), subset="10000", image_size=IMAGE_SIZE,
        batch_size=BATCH, threads=THREADS, epochs=1, adapt=False,
    )  # fmt: skip
    with contextlib.suppress(Enough):
        train(config, scratch / "checkpoint", listener=Listener(on_step=on_step))
    seconds = [b - a for a, b in itertools.pairwise(moments)]
    return BATCH / statistics.median(seconds[steps // 2 :])


def share_of_images(cifar: Path, step_s: float) -> float:
    """The share of a step that reading and augmenting a batch take."""
    import torch

    from edgebench.training import augment
    from edgebench.training.batches import BatchReader

    torch.set_num_threads(THREADS)
    splits = data.load(str(cifar / "cifar-10-batches-py"), "10000", IMAGE_SIZE, 0)
    batches, draw, spent = BatchReader(splits.train, torch.device("cpu")), torch.Generator().manual_seed(0), []
    chosen = torch.randperm(len(splits.train))[: 50 * BATCH].split(BATCH)
    began = time.perf_counter()
    for images, _ in batches.read(chosen):
        augment.augment(images, draw, flip=True, shift=0.1, policy="none")
        spent.append(time.perf_counter() - began)
        began = time.perf_counter()
    return statistics.median(spent) / step_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train_py", type=Path)
    parser.add_argument("cifar", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--models", default="mobilenetv3_large_100,resnet50")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ours:
        print(our_steps(given.cifar, given.models, given.steps, given.ours))
        return
    for model in given.models.split(","):
        ratios = []
        for number in range(given.rounds):
            with tempfile.TemporaryDirectory() as scratch:
                shared = (given.cifar, model, given.steps, Path(scratch))
                sides = {"timm": partial(theirs, given.train_py, *shared), "edgebench": partial(ours, *shared)}
                order = list(sides) if number % 2 == 0 else list(sides)[::-1]
                rates = {name: sides[name]() for name in order}
            ratios.append(rates["edgebench"] / rates["timm"])
            print(f"{model} round {number + 1}: {', '.join(f'{n} {rates[n]:.1f} images/s' for n in sides)}", flush=True)
        images = share_of_images(given.cifar, BATCH / rates["edgebench"])
        print(f"{model}: edgebench ÷ timm {statistics.median(ratios):.2f}; images take {images:.1%} of a step")


if __name__ == "__main__":
    main()
