"""Reads IDX files, plain or gzipped: the format of MNIST, Fashion-MNIST and datasets like them.

Format: https://yann.lecun.com/exdb/mnist/ : a magic number (two zero bytes, the type of the values, 8 for uint8, and
the number of dimensions), then the size of each dimension (32 bits, big-endian), then the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.training.data.sources import FETCH_AGAIN, Arrays, Raw

CLASSES = 10
MOST_BYTES = 1 << 32  # a header that announces more is damaged, or an attack


def find_file(folder: Path, name: str) -> Path | None:
    """The file of this name, plain or with .gz appended."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def read(folder: Path) -> Raw:
    """All images, the training images first. Raises BadFile if a file is missing, truncated or has a wrong label."""
    parts = [_part(folder, name) for name in ("train", "t10k")]
    if parts[0][0].shape[1:] != parts[1][0].shape[1:]:
        raise BadFile(f"{folder}: the training images and the test images have different sizes", FETCH_AGAIN)
    images, labels = (np.concatenate(both) for both in zip(*parts, strict=True))
    rows, train = np.arange(len(labels)), len(parts[0][1])
    return Raw(source=Arrays(images, labels), train=rows[:train], test=rows[train:])


def _part(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    images = read_file(_required(folder, f"{name}-images-idx3-ubyte"), dimensions=3)
    path = _required(folder, f"{name}-labels-idx1-ubyte")
    labels = read_file(path, dimensions=1).astype(np.int64)
    if len(images) != len(labels):
        raise BadFile(f"{path} has {len(labels)} labels for {len(images)} images", FETCH_AGAIN)
    if len(labels) and labels.max() >= CLASSES:
        raise BadFile(f"{path} has the label {labels.max()}, but there are {CLASSES} classes (0 to 9)", FETCH_AGAIN)
    return images, labels


def _required(folder: Path, name: str) -> Path:
    if path := find_file(folder, name):
        return path
    raise BadFile(f"{folder} has neither {name} nor {name}.gz", "fetch all four files of the dataset")


def read_file(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 values of one IDX file, with this number of dimensions. Raises BadFile."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            header = file.read(4 + 4 * dimensions)
            magic = header[:4]
            if magic != bytes((0, 0, 8, dimensions)):
                raise BadFile(
                    f"{path} begins with {magic.hex(' ') or 'nothing'}, "
                    f"but an IDX file of bytes in {dimensions} dimensions begins with 00 00 08 0{dimensions}",
                    FETCH_AGAIN,
                )
            if len(header) < 4 + 4 * dimensions:
                raise BadFile(f"{path} ends within its header", FETCH_AGAIN)
            shape = struct.unpack(f">{dimensions}I", header[4:])
            expected = math.prod(shape)
            if not 0 < expected <= MOST_BYTES:
                raise BadFile(
                    f"{path} announces {' × '.join(map(str, shape))} bytes, more than any dataset of this kind",
                    FETCH_AGAIN,
                )
            content = file.read(expected + 1)
    except (OSError, EOFError, zlib.error) as error:  # gzip's own errors are OSErrors
        raise BadFile(f"{path} cannot be read: {error}", FETCH_AGAIN) from None
    if len(content) != expected:
        found = f"{len(content)}" if len(content) < expected else "more"
        raise BadFile(f"{path} announces {' × '.join(map(str, shape))} bytes of content, but has {found}", FETCH_AGAIN)
    return np.frombuffer(content, np.uint8).reshape(shape)
