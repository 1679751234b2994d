"""What augmenting a batch costs on one thread, beside torchvision's TrivialAugmentWide applied image by image.

.venv/bin/python scripts/bench_augment.py [ROUNDS]
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch

from edgebench.training import augment, models

BATCH, SIZE = 64, 64


def milliseconds(rounds: int, work: Callable[[], object]) -> float:
    taken = []
    for _ in range(rounds + 3):
        started = time.perf_counter_ns()
        work()
        taken.append((time.perf_counter_ns() - started) / 1e6)
    return statistics.median(taken[3:])


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    torch.set_num_threads(1)
    models.import_timm()  # it mends torchvision's import where that does not fit torch
    from torchvision.transforms import v2

    generator = torch.Generator().manual_seed(0)
    blocks = torch.rand(BATCH, 3, SIZE // 8, SIZE // 8, generator=generator)
    smooth = torch.nn.functional.interpolate(blocks, size=SIZE, mode="bilinear") * 255
    images = smooth.to(torch.uint8).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,), generator=generator)
    theirs = v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR)

    mixed = images.float()
    each = {
        "flip": lambda: augment.flip(images, generator),
        "shift": lambda: augment.shift(images, 0.125, generator),
        "flip and shift": lambda: augment.augment(images, generator, flip=True, shift=0.125, policy="none"),
        "trivial": lambda: augment.trivial(images, generator),
        "rand": lambda: augment.rand(images, generator),
        "mixup": lambda: augment.mix(mixed, labels, generator, classes=10, mixup=0.2),
        "cutmix": lambda: augment.mix(mixed, labels, generator, classes=10, cutmix=1.0),
        "torchvision": lambda: [theirs(image) for image in images],
    }
    took = {name: milliseconds(rounds, work) for name, work in each.items()}
    print(f"median of {rounds} batches of {BATCH} images of {SIZE} × {SIZE} on one thread")
    for name, value in took.items():
        print(f"{name:<16} {value:7.2f} ms")
    print(f"trivial takes {took['trivial'] / took['torchvision']:.2f} of torchvision's time, image by image")


if __name__ == "__main__":
    main()
