"""Reads CIFAR-10 and CIFAR-100 in their authors' binary and python layouts.

Both hold 32 × 32 RGB images, the red plane first: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.training.data import restricted_pickle
from edgebench.training.data.sources import FETCH_AGAIN, Arrays, Raw

PLANE = 32 * 32
PIXELS = 3 * PLANE


@dataclass(frozen=True, kw_only=True)
class CifarLayout:
    """The files of one layout. `header`: label bytes before each image, of which the last is used; 0 for pickles.

    `key`: what the labels are called in the pickles.
    """

    dataset: str
    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    header: int = 0
    key: str = ""

    @property
    def first(self) -> str:
        """The file by which a folder of this layout is recognised."""
        return self.train[0]


LAYOUTS = (
    CifarLayout(
        dataset="cifar10", folder="cifar-10-batches-bin", train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        test="test_batch.bin", names="batches.meta.txt", header=1,
    ),
    CifarLayout(
        dataset="cifar10", folder="cifar-10-batches-py", train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test="test_batch", names="batches.meta", key="label",
    ),
    CifarLayout(
        dataset="cifar100", folder="cifar-100-binary", train=("train.bin",), test="test.bin",
        names="fine_label_names.txt", header=2,
    ),
    CifarLayout(
        dataset="cifar100", folder="cifar-100-python", train=("train",), test="test", names="meta", key="fine_label",
    ),
)  # fmt: skip


def class_names(folder: Path, layout: CifarLayout) -> tuple[str, ...]:
    """The class names in label order. Raises BadFile."""
    path = folder / layout.names
    if layout.header:
        try:
            names = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeError) as error:
            raise BadFile(f"{path} cannot be read: {error}", FETCH_AGAIN) from None
    else:
        given = restricted_pickle.read(path).get(f"{layout.key}_names")
        if not isinstance(given, list) or not all(isinstance(name, (bytes, str)) for name in given):
            raise BadFile(f"{path} has no list {layout.key}_names", FETCH_AGAIN)
        names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in given]
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadFile(f"{path} must name at least two classes, each once", FETCH_AGAIN)
    return tuple(names)


def read(folder: Path, layout: CifarLayout, classes: int) -> Raw:
    """All images, the training images first. Raises BadFile if a file is missing, truncated or has a wrong label."""
    batches = [_batch(folder / name, layout, classes) for name in (*layout.train, layout.test)]
    labels = np.concatenate([labels for _, labels in batches])
    images, done = np.empty((len(labels), PLANE, 3), np.uint8), 0
    for planes, _ in batches:
        for channel in range(3):  # channel by channel, for speed: numpy transposes the whole five times slower
            images[done : done + len(planes), :, channel] = planes[:, channel * PLANE : (channel + 1) * PLANE]
        done += len(planes)
    train = len(labels) - len(batches[-1][1])
    rows = np.arange(len(labels))
    return Raw(source=Arrays(images.reshape(-1, 32, 32, 3), labels), train=rows[:train], test=rows[train:])


def _batch(path: Path, layout: CifarLayout, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 3072) and labels int64 (n,) of one file."""
    pixels, labels = _binary(path, layout.header) if layout.header else _pickled(path, layout.key)
    if labels.min() < 0 or labels.max() >= classes:
        worst = labels.min() if labels.min() < 0 else labels.max()
        raise BadFile(
            f"{path} has the label {worst}, but there are {classes} classes (0 to {classes - 1})", FETCH_AGAIN
        )
    return pixels, labels


def _binary(path: Path, header: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}", FETCH_AGAIN) from None
    record = header + PIXELS
    if len(content) % record or not len(content):
        raise BadFile(f"{path} has {len(content)} bytes, not a multiple of the record size {record}", FETCH_AGAIN)
    records = content.reshape(-1, record)
    return records[:, header:], records[:, header - 1].astype(np.int64)


def _pickled(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    content = restricted_pickle.read(path)
    pixels, labels = content.get("data"), content.get("labels" if key == "label" else f"{key}s")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise BadFile(f"{path} has no images of {PIXELS} bytes under the key data", FETCH_AGAIN)
    if not isinstance(labels, list) or not all(type(label) is int and abs(label) < 1 << 31 for label in labels):
        raise BadFile(f"{path} has no list of labels", FETCH_AGAIN)
    if len(labels) != len(pixels) or not labels:
        raise BadFile(f"{path} has {len(labels)} labels for {len(pixels)} images", FETCH_AGAIN)
    return pixels, np.array(labels, np.int64)
