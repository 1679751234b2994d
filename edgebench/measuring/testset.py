"""The test split in one file, with torch's answers: all that a machine needs to evaluate an artifact."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.errors import BadFile
from edgebench.records.jsonio import check_schema
from edgebench.specs import Artifact

if TYPE_CHECKING:
    from edgebench.protocols import Pixels

SCHEMA = 1  # of this file; the first files had none
CHUNK = 512  # images in memory at once


@dataclass(frozen=True)
class TestSet:
    """Labels, int64 (n,); the classes that torch put first, int64 (n,); images in order, uint8 (≤ CHUNK, h, w, 3)."""

    __test__ = False  # for pytest: this is not a test class

    labels: np.ndarray
    torch_first: np.ndarray
    images: Iterator[np.ndarray]


def write(path: Path, images: Pixels, labels: np.ndarray, logits: np.ndarray, origin: str) -> None:
    """Write the test split of the checkpoint `origin` (its identity) and torch's logits (n, classes), atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file:
            small = {
                "schema": np.array(SCHEMA),
                "labels": labels.astype(np.int64),
                "torch_first": logits.argmax(axis=1),
                "origin": np.array(origin),
            }
            for name, array in small.items():
                _put(file, name, array)
            for start in range(0, len(images), CHUNK):
                _put(file, f"images/{start}", np.ascontiguousarray(images[start : start + CHUNK]))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def opened(path: Path, artifact: Artifact) -> Iterator[TestSet]:
    """The test set in the file `path`. Raises BadFile if it is damaged or of another checkpoint."""
    make_again = "delete it, and make it again where the dataset is: edgebench evaluate ARTIFACT --save-images FILE"
    try:
        with zipfile.ZipFile(path) as file:
            if "schema.npy" in file.namelist():
                check_schema(_get(file, "schema").item(), SCHEMA, str(path))
            labels, first, origin = (_get(file, name) for name in ("labels", "torch_first", "origin"))
            if str(origin) != (artifact.origin or artifact.identity):
                raise BadFile(f"{path} was made for another checkpoint than {artifact.path}", make_again)
            classes = len(artifact.training.data.classes)
            if not (labels.dtype == first.dtype == np.int64 and labels.shape == first.shape == (labels.size,)):
                raise BadFile(f"{path} does not hold one label and one answer per image", make_again)
            if not len(labels) or not all(((a >= 0) & (a < classes)).all() for a in (labels, first)):
                raise BadFile(f"{path} has no labels, or labels beyond the {classes} classes", make_again)
            yield TestSet(labels, first, _images(file, path, len(labels), artifact, make_again))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadFile(f"{path} is not a test set: {error}", make_again) from None


def _images(file: zipfile.ZipFile, path: Path, count: int, artifact: Artifact, fix: str) -> Iterator[np.ndarray]:
    size = (artifact.preprocessing.height, artifact.preprocessing.width, 3)
    for start in range(0, count, CHUNK):
        shape = (min(CHUNK, count - start), *size)
        images = _get(file, f"images/{start}", most_bytes=int(np.prod(shape)))
        if images.dtype != np.uint8 or images.shape != shape:
            raise BadFile(f"{path} holds images {images.dtype}{images.shape}, not uint8 of {size}", fix)
        yield images


def _put(file: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, array, allow_pickle=False)


def _get(file: zipfile.ZipFile, name: str, most_bytes: int = 1 << 30) -> np.ndarray:
    """An array of the file. One that would unpack to more than `most_bytes` is refused before it is unpacked."""
    if file.getinfo(f"{name}.npy").file_size > most_bytes + 1024:
        raise ValueError(f"{name} is larger than its images can be")
    with file.open(f"{name}.npy") as entry:
        return np.lib.format.read_array(entry, allow_pickle=False)
