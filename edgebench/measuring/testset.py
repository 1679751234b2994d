"""Test pictures of the model's size in one file, with the reference's answers: all that an evaluation needs."""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.errors import BadFile, NewerFile
from edgebench.records import jsonio, replacing
from edgebench.records.decoding import check_schema
from edgebench.records.preprocessing import Preprocessing
from edgebench.specs import Artifact

if TYPE_CHECKING:
    from edgebench.protocols import Pixels

SCHEMA = 2  # of this file; 1 has no facts, and the first files had no number
CHUNK = 512  # images in memory at once
UNFINISHED = ".unfinished-"  # how the name of a file begins that is being written
FACTS_BYTES = 256 << 20
# What reading a damaged file raises: an archive that seems encrypted or of another version, a header of no array.
DAMAGED = (
    OSError, LookupError, ValueError, EOFError, TypeError, AttributeError, ArithmeticError, MemoryError, RuntimeError,
    SyntaxError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
MAKE_AGAIN = "make one where the dataset is: edgebench evaluate ARTIFACT --save-images FILE"


@dataclass(frozen=True, kw_only=True)
class SetFacts:
    """What the pictures are: of which dataset and classes, with the hash of a training's `test_sha256`.

    The rest is for an adopted model. `preprocessing`: from these pictures to its input. `output`: the name of the
    output that tells the classes. `meaning`: by the number of a class of the model, the number of ours, −1 if we have
    it not; `names`: what the model calls its classes. Without classes there are only `pictures`, their names, for a
    function that scores the answers.
    """

    dataset: str
    classes: tuple[str, ...]
    sha256: str
    preprocessing: Preprocessing | None = None
    output: str = ""
    meaning: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Labels, int64 (n,); the classes that the reference put first, int64 (n,), by the model's numbers, None if they
    are not known; images in order, uint8 (≤ CHUNK, h, w, 3); the identity of the model that they are for."""

    __test__ = False  # for pytest: this is not a test class

    labels: np.ndarray
    first: np.ndarray | None
    images: Iterator[np.ndarray]
    origin: str
    facts: SetFacts | None


def write(
    path: Path,
    images: Pixels,
    labels: np.ndarray,
    logits: np.ndarray | None,
    origin: str,
    facts: SetFacts | None = None,
) -> None:
    """Write the pictures for the checkpoint or adopted model `origin` (its identity), atomically, with the reference's
    logits (n, classes) if they are known."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as file:
        small = {"schema": np.array(SCHEMA), "labels": labels.astype(np.int64), "origin": np.array(origin)}
        if logits is not None:
            small["torch_first"] = logits.argmax(axis=1)
        for name, array in small.items():
            _put(file, name, array)
        if facts:
            file.writestr("facts.json", jsonio.dumps(facts))
        for start in range(0, len(images), CHUNK):
            _put(file, f"images/{start}", np.ascontiguousarray(images[start : start + CHUNK]))


def add_first(path: Path, first: np.ndarray) -> None:
    """Add what the reference put first to a file without, atomically."""
    with _replacing(path) as partial:
        shutil.copyfile(path, partial)
        with zipfile.ZipFile(partial, "a") as file:
            if "torch_first.npy" not in file.namelist():  # another process may have been faster
                _put(file, "torch_first", first.astype(np.int64))


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path`, of this process alone, which takes its place once it is whole."""

    def make() -> str:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=replacing.PARTIAL)
        os.close(handle)
        return name

    with replacing.unfinished(path.parent, UNFINISHED, make) as partial:
        yield partial
        replacing.shared_as_its_folder(partial)
        partial.replace(path)


def kept(path: Path, artifact: Artifact) -> bool:
    """Whether a workspace keeps this file for the artifact, and all of it can be read; if not, it is to be made.

    Raises NewerFile, since what a newer edgebench made is not damaged.
    """
    if not path.is_file():
        return False
    try:
        with opened(path, artifact) as test:
            for _ in test.images:
                pass
    except NewerFile:
        raise
    except BadFile:
        return False
    return True


@contextmanager
def opened(path: Path, artifact: Artifact | None = None) -> Iterator[TestSet]:
    """The test set in the file `path`. Raises BadFile if it is damaged, or not for this artifact, if one is given."""
    with ExitStack() as open_files:
        with _told_if_damaged(path):
            file = open_files.enter_context(zipfile.ZipFile(path))
            found = _read(file, path, artifact)
        yield found


@contextmanager
def _told_if_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise BadFile(f"{path} is not a test set: {error}", MAKE_AGAIN) from None


def _read(file: zipfile.ZipFile, path: Path, artifact: Artifact | None) -> TestSet:
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in file.infolist()):
        raise ValueError("it is packed in another way")
    if "schema.npy" in (inside := file.namelist()):
        check_schema(_get(file, "schema").item(), SCHEMA, str(path))
    labels, origin = (_get(file, name) for name in ("labels", "origin"))
    first = _get(file, "torch_first") if "torch_first.npy" in inside else None
    facts = _facts(file, path) if "facts.json" in inside else None
    if artifact and str(origin) != (artifact.origin or artifact.identity):
        what = "model" if artifact.adopted else "checkpoint"
        raise BadFile(f"{path} was made for another {what} than {artifact.path}", MAKE_AGAIN)
    both = (labels,) if first is None else (labels, first)
    if not all(each.dtype == np.int64 and each.shape == (labels.size,) for each in both):
        raise BadFile(f"{path} does not hold one label and one answer per image", MAKE_AGAIN)
    _check(path, labels, first, facts, artifact)
    return TestSet(
        labels=labels, first=first, images=_images(file, path, len(labels), artifact, facts), origin=str(origin),
        facts=facts,
    )  # fmt: skip


def _facts(file: zipfile.ZipFile, path: Path) -> SetFacts:
    if file.getinfo("facts.json").file_size > FACTS_BYTES:
        raise ValueError("its facts are absurdly large")
    return jsonio.decode(SetFacts, json.loads(file.read("facts.json")), str(path))


def _check(
    path: Path, labels: np.ndarray, first: np.ndarray | None, facts: SetFacts | None, artifact: Artifact | None
) -> None:
    if artifact and artifact.training:
        classes = answers = len(artifact.training.data.classes)
    elif facts and (artifact is None or facts.preprocessing):
        classes, answers = len(facts.classes), len(facts.meaning or facts.classes)
        if any(not -1 <= each < classes for each in facts.meaning):
            raise BadFile(f"{path} means classes that it does not have", MAKE_AGAIN)
    elif facts is None:
        raise BadFile(f"{path} does not say which classes its pictures are of: an older edgebench wrote it", MAKE_AGAIN)
    else:
        raise BadFile(f"{path} does not say how its pictures become the input of {artifact.path}", MAKE_AGAIN)
    if not len(labels) or (classes and not ((labels >= 0) & (labels < classes)).all()):
        raise BadFile(f"{path} has no labels, or labels beyond the {classes} classes", MAKE_AGAIN)
    if first is not None and not ((first >= 0) & (first < answers)).all():
        raise BadFile(f"{path} has answers beyond the {answers} classes", MAKE_AGAIN)


def _images(
    file: zipfile.ZipFile, path: Path, count: int, artifact: Artifact | None, facts: SetFacts | None
) -> Iterator[np.ndarray]:
    how = (facts and facts.preprocessing) or (artifact and artifact.preprocessing)
    for start in range(0, count, CHUNK):
        n = min(CHUNK, count - start)
        shape = (n, how.height, how.width, 3) if how else None
        with _told_if_damaged(path):
            images = _get(file, f"images/{start}", most_bytes=int(np.prod(shape)) if shape else 1 << 30)
        if images.dtype != np.uint8 or (images.shape != shape if shape else images.ndim != 4 or len(images) != n):
            wanted = f"uint8 of {shape[1:]}" if shape else f"uint8 of {n} pictures"
            raise BadFile(f"{path} holds images {images.dtype}{images.shape}, not {wanted}", MAKE_AGAIN)
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
