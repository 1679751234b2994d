"""MNIST's IDX files, plain or gzipped, as Fashion-MNIST and its kin are given out.

Format: https://yann.lecun.com/exdb/mnist/ : a magic number of two zero bytes, the type of the values (8: uint8) and
the number of dimensions, then each dimension's size, 32 bits, big-endian, then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.training.data.sources import Arrays, Raw

CLASSES = 10
MOST_BYTES = 1 << 32  # a header that promises more is damage, or a trap
AGAIN = "fetch the dataset again: the file was cut short, or is another one"


def find_file(folder: Path, name: str) -> Path | None:
    """The file of this name, plain or with .gz behind it."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read(folder: Path) -> Raw:
    """All images, those for training first. Raises BadFile for a file that is missing, cut short or out of range."""
    parts = [_part(folder, name) for name in ("train", "t10k")]
    if parts[0][0].shape[1:] != parts[1][0].shape[1:]:
        raise BadFile(f"{folder}: the images for training and those for testing differ in size", AGAIN)
    images, labels = (np.concatenate(both) for both in zip(*parts, strict=True))
    rows, train = np.arange(len(labels)), len(parts[0][1])
    return Raw(Arrays(images, labels), rows[:train], test=rows[train:])


def _part(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    images = read_file(_required(folder, f"{name}-images-idx3-ubyte"), dimensions=3)
    path = _required(folder, f"{name}-labels-idx1-ubyte")
    labels = read_file(path, dimensions=1).astype(np.int64)
    if len(images) != len(labels):
        raise BadFile(f"{path} has {len(labels)} labels for {len(images)} images", AGAIN)
    if len(labels) and labels.max() >= CLASSES:
        raise BadFile(f"{path} has the label {labels.max()}, but there are {CLASSES} classes (0 to 9)", AGAIN)
    return images, labels


def _required(folder: Path, name: str) -> Path:
    if path := find_file(folder, name):
        return path
    raise BadFile(f"{folder} has neither {name} nor {name}.gz", "fetch all four files of the dataset")


def read_file(path: Path, dimensions: int) -> np.ndarray:
    """One IDX file of uint8 values with so many dimensions. Raises BadFile."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            magic = header[:4]
            if magic != bytes((0, 0, 8, dimensions)):
                raise BadFile(
                    f"{path} begins with {magic.hex(' ') or 'nothing'}, "
                    f"where IDX bytes of {dimensions} dimensions begin with 00 00 08 0{dimensions}",
                    AGAIN,
                )
            if len(header) < 4 + 4 * dimensions:
                raise BadFile(f"{path} ends within its header", AGAIN)
            shape = struct.unpack(f">{dimensions}I", header[4:])
            expected = math.prod(shape)
            if not 0 < expected <= MOST_BYTES:
                raise BadFile(f"{path} promises {' × '.join(map(str, shape))} bytes, which no such dataset has", AGAIN)
            content = file.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:  # gzip's own errors are OSErrors
        raise BadFile(f"{path} cannot be read: {error}", AGAIN) from None
    if len(content) != expected:
        found = f"{len(content)} bytes" if len(content) < expected else "more"
        raise BadFile(f"{path} promises {' × '.join(map(str, shape))} bytes of content and has {found}", AGAIN)
    return np.frombuffer(content, np.uint8).reshape(shape)
