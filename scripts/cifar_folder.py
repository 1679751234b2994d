"""A folder of real CIFAR-10 pictures, a folder a class, as PNG files: what `edgebench pick --data` takes.

EDGEBENCH_DATA=DATA python scripts/cifar_folder.py FOLDER [IMAGES]     by default 2,000, as many of each class
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from edgebench.training import data


def main() -> None:
    out, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    dataset = data.find("cifar10")
    raw = dataset.read()
    made: Counter[int] = Counter()
    for row in np.random.default_rng(0).permutation(raw.train):
        label = int(raw.source.labels[row])
        if made[label] < count // len(dataset.classes):
            folder = out / dataset.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(raw.source.images[row]).save(folder / f"{row:05}.png")
            made[label] += 1
    print(f"{made.total()} images in {out}")


if __name__ == "__main__":
    main()
