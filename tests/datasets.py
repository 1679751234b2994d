"""Tiny datasets on disk, in each layout that edgebench reads: random images, no two alike, some of each class."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from edgebench.training.data import Images, Splits

CLASSES = ("cat", "dog", "owl")
WORDNET = ("n01440764", "n01443537")


def random_images(count: int, size: int = 32, channels: int = 3, seed: int = 0) -> np.ndarray:
    """uint8 (count, size, size, channels)."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), np.uint8)


def in_turn(count: int, classes: int = len(CLASSES)) -> np.ndarray:
    """Labels 0, 1, 2, 0, 1, 2, … as int64 (count,)."""
    return np.arange(count) % classes


def write_cifar(
    folder: Path,
    *,
    train: int = 60,
    test: int = 12,
    pickled: bool = False,
    fine: bool = False,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> Path:
    """CIFAR-10, or with `fine` CIFAR-100, in the binary or the python layout; `images` and `labels` hold all rows."""
    images = random_images(train + test) if images is None else images
    labels = in_turn(train + test) if labels is None else labels
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    ending = "" if pickled else ".bin"
    cuts = {"train": slice(0, train)} if fine else {}
    if not fine:
        cuts = {f"data_batch_{i + 1}": slice(i * train // 5, (i + 1) * train // 5) for i in range(5)}
    cuts["test" if fine else "test_batch"] = slice(train, None)
    folder.mkdir(parents=True)
    for name, cut in cuts.items():
        path = folder / f"{name}{ending}"
        if pickled:
            content = {b"data": planes[cut], b"fine_labels" if fine else b"labels": labels[cut].tolist()}
            path.write_bytes(pickle.dumps(content, protocol=2))
        else:
            columns = [labels[cut, None] * 0] * fine + [labels[cut, None], planes[cut]]
            path.write_bytes(np.concatenate(columns, axis=1).astype(np.uint8).tobytes())
    if pickled:
        key = b"fine_label_names" if fine else b"label_names"
        names = pickle.dumps({key: [name.encode() for name in CLASSES]}, protocol=2)
        (folder / ("meta" if fine else "batches.meta")).write_bytes(names)
    else:
        (folder / ("fine_label_names.txt" if fine else "batches.meta.txt")).write_text("\n".join(CLASSES) + "\n\n")
    return folder


def idx_bytes(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write_idx(
    folder: Path, *, train: int = 60, test: int = 20, gzipped: bool = True, images: np.ndarray | None = None
) -> Path:
    """Fashion-MNIST's four files with 10 classes; `images` (train + test, height, width) in grey."""
    images = random_images(train + test, 28, 1)[..., 0] if images is None else images
    labels = in_turn(train + test, 10).astype(np.uint8)
    folder.mkdir(parents=True)
    for name, cut in (("train", slice(0, train)), ("t10k", slice(train, None))):
        for what, values in (("images-idx3", images[cut]), ("labels-idx1", labels[cut])):
            path = folder / f"{name}-{what}-ubyte{'.gz' if gzipped else ''}"
            path.write_bytes(gzip.compress(idx_bytes(values), 1) if gzipped else idx_bytes(values))
    return folder


def write_picture(path: Path, number: int) -> None:
    """A picture of 8 × 8 pixels, unlike those of other numbers, whatever the ending of its name."""
    path.write_bytes(b"P6 8 8 255\n" + np.random.default_rng(number).bytes(192))


def write_images(folder: Path, per_class: Mapping[str, int] | int = 10, *, size: int = 12, seed: int = 0) -> Path:
    """A folder a class with so many PNG files (a number: for each of CLASSES)."""
    counts = dict.fromkeys(CLASSES, per_class) if isinstance(per_class, int) else per_class
    pixels = iter(random_images(sum(counts.values()), size, seed=seed))
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(next(pixels)).save(folder / name / f"{i:03}.png", compress_level=1)
    return folder


def write_split_images(folder: Path, per_class: Mapping[str, int | Mapping[str, int]] | None = None) -> Path:
    """write_images for each split: {"train": 10, "val": 3, "test": 4} images a class, unless said otherwise."""
    for seed, (split, counts) in enumerate((per_class or {"train": 10, "val": 3, "test": 4}).items()):
        write_images(folder / split, counts, seed=seed)
    return folder


# Every layout by name: a function that writes it into a folder of its own below the one given, and returns that one.
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "cifar-10-batches-bin": lambda root: write_cifar(root / "cifar-10-batches-bin"),
    "cifar-10-batches-py": lambda root: write_cifar(root / "cifar-10-batches-py", pickled=True),
    "cifar-100-binary": lambda root: write_cifar(root / "cifar-100-binary", fine=True),
    "cifar-100-python": lambda root: write_cifar(root / "cifar-100-python", fine=True, pickled=True),
    "fashion-mnist": lambda root: write_idx(root / "fashion-mnist"),
    "fashion-mnist-plain": lambda root: write_idx(root / "plain" / "fashion-mnist", gzipped=False),
    "class-folders": lambda root: write_images(root / "animals"),
    "split-folders": lambda root: write_split_images(root / "robots"),
    "imagenet": lambda root: write_split_images(
        root / "imagenet",
        {"train": dict.fromkeys(("n01440764", "n01443537"), 9), "val": {"n01440764": 3, "n01443537": 3}},
    ),
}


def parts(splits: Splits) -> tuple[Images, Images, Images]:
    return splits.train, splits.validation, splits.test


def hashes(split: Images) -> list[str]:
    """The sha256 of each image's pixels."""
    return [hashlib.sha256(image.tobytes()).hexdigest() for image in split.images[:]]


def per_class(*splits: Images, classes: int = 10) -> np.ndarray:
    return np.bincount(np.concatenate([split.labels for split in splits]), minlength=classes)
