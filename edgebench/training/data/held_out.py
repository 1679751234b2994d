"""The pictures of a folder that a model from elsewhere is judged by: which they are, and at the model's size."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile, UsageError
from edgebench.protocols import Pixels
from edgebench.records.account import LeftOut
from edgebench.records.preprocessing import Preprocessing
from edgebench.training.data import catalogue, class_folders, listing, pictures, test_hash
from edgebench.training.data.accounting import Ledger
from edgebench.training.data.dividing import divide
from edgebench.training.data.listing import printable
from edgebench.training.data.pixels import fitted, in_threads
from edgebench.training.data.sources import Arrays, Dataset, Decoding, Raw, Source


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Pictures in order, with their labels, int64 (n,), and a hash of classes and content, as of a test split.

    Without classes, the labels mean nothing, and `names` has the paths in the folder. `left_out`: its other files.
    """

    dataset: str
    classes: tuple[str, ...]
    labels: np.ndarray
    sha256: str
    images: Pixels
    names: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def of_classes(path: Path, how: Preprocessing, tell: Callable[[int, int], None]) -> HeldOut:
    """The test split of a dataset that has one, as a training takes it; else all its pictures. Broken ones are left
    out, and are in the account. Raises UsageError or BadFile for a folder that is no dataset."""
    pictures.need_pillow()
    try:
        dataset = catalogue.find(str(path))
        raw = dataset.read()
        rows, used, ledger = _test_rows(dataset, raw, Decoding(skip_broken=True, on_progress=tell))
    except BadFile as error:  # its fix may name options that only a training has
        raise BadFile(
            error.message,
            f"a folder for each class; `edgebench data {shlex.quote(str(path))}` says what it is taken for",
        ) from None
    if not len(rows):
        raise BadFile(f"{printable(str(path))}: none of its pictures can be decoded", "repair them")
    labels = raw.source.labels[rows]
    return HeldOut(
        dataset=dataset.name, classes=dataset.classes, labels=labels, images=_Fitted(raw.source, rows, how),
        sha256=test_hash.of(dataset.classes, labels, raw.source.contents(rows)), left_out=ledger.close(used).left_out,
    )  # fmt: skip


def _test_rows(dataset: Dataset, raw: Raw, decoding: Decoding) -> tuple[np.ndarray, dict[str, np.ndarray], Ledger]:
    """The rows to judge by, those of each split, and the account of the others."""
    if raw.test is not None:
        cut = divide(dataset, "full", 0, decoding)
        return cut.rows[2], dict(zip(("train", "validation", "test"), cut.rows, strict=True)), cut.ledger
    ledger = Ledger(dataset, raw)
    ledger.leave_broken(raw.source.alike(decoding, near_copies=False).broken)
    rows = ledger.open(np.arange(len(raw.source.labels)))
    return rows, {"test": rows}, ledger


def of_files(path: Path, how: Preprocessing) -> HeldOut:
    """All pictures in a folder, whatever its subfolders mean. Raises UsageError if there is none."""
    pictures.need_pillow()
    found = listing.walk(path, {"": ""})
    if not (files := found.pictures[""]):
        raise UsageError(f"{printable(str(path))} holds no picture", "name another folder")
    labels = np.zeros(len(files), np.int64)
    source = class_folders.Files(path, files, labels)
    return HeldOut(
        dataset=path.resolve().name, classes=(), labels=labels, names=tuple(file.name for file in files),
        sha256=test_hash.of((), labels, source.contents(np.arange(len(files)))),
        images=_Fitted(source, np.arange(len(files)), how), left_out=found.left_out(),
    )  # fmt: skip


def again(images: np.ndarray, how: Preprocessing) -> np.ndarray:
    """Pictures that have a size already, uint8 (n, h, w, 3), at that of another model."""
    from PIL import Image

    made = np.empty((len(images), how.height, how.width, 3), np.uint8)

    def place(i: int) -> None:
        made[i] = fitted(Image.fromarray(images[i]), how)

    in_threads(place, len(images))
    return made


class _Fitted:
    """Pictures of a source at a model's size, decoded when they are used (see Pixels)."""

    def __init__(self, source: Source, rows: np.ndarray, how: Preprocessing) -> None:
        self._source, self._rows, self._how = source, rows, how

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        wanted = self._rows[rows]
        made = np.empty((len(wanted), self._how.height, self._how.width, 3), np.uint8)

        def place(i: int) -> None:
            made[i] = self._read(int(wanted[i]))

        in_threads(place, len(wanted))
        return made

    def _read(self, row: int) -> np.ndarray:
        if isinstance(self._source, Arrays):
            from PIL import Image

            return fitted(Image.fromarray(self._source.images[row]).convert("RGB"), self._how)
        return pictures.read(self._source.root / self._source.files[row].name, self._how)
