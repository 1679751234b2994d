"""A dataset as a folder of images, one folder per class: recognises its layout and lists its files.

A link that stands for a split, a class or an image is followed, also out of the folder: people build subsets of large
datasets out of links, and nothing is ever written here. Linked folders inside a class are not followed: they may form
a circle.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.protocols import Pixels
from edgebench.records.account import Layout
from edgebench.training.data.decoding import File, cached, streamed
from edgebench.training.data.formats import ENDINGS
from edgebench.training.data.pixels import in_threads
from edgebench.training.data.sources import Decoding, Raw, numbered

WORDNET = re.compile(r"n\d{8}")
TAIL_BYTES = 4096
SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """The folder of each split (None: it is cut from the training images), and the class names in label order."""

    root: Path
    classes: tuple[str, ...]
    train: Path
    validation: Path | None = None
    test: Path | None = None


def layout(root: Path) -> FolderLayout:
    """Recognise the layout of the folders in `root`. Raises BadFile if they are not a dataset.

    If there is a train/ with class folders, val/ (or validation/) and test/ beside it are splits; otherwise each folder
    is a class. In ILSVRC's own layout (classes named by WordNet numbers, no labelled test/), val/ is the test split.
    """
    root = Path(os.path.abspath(root))
    folders = _folders(root)
    special = [name for name in ("val", "validation", "test") if name in folders]
    others = set(folders) - {"train", *special}
    # a train/ that has no folders, beside other folders, is a class: railway trains
    if "train" not in folders or (others and not _folders(root / "train")):
        if special:
            raise BadFile(f"{root} has {special[0]}/ but no train/", "put the training images into train/")
        return FolderLayout(root=root, classes=_classes(root, folders), train=root)
    if {"val", "validation"} <= set(special):
        raise BadFile(f"{root} has both val/ and validation/", "delete or rename one of them")
    train = root / "train"
    classes = _classes(train, _folders(train))
    held_out = [root / name for name in special if name != "test"]
    validation = held_out[0] if held_out else None
    test = root / "test" if "test" in special else None
    if validation and all(map(WORDNET.fullmatch, classes)) and not (test and _folders(test)):
        validation, test = None, validation
    for split in filter(None, (validation, test)):
        found = _folders(split)
        if not found:
            raise BadFile(f"{split} has no class folders", f"sort its images into folders named like those in {train}")
        if unknown := [name for name in found if name not in classes]:
            raise BadFile(
                f"{split / unknown[0]} is a class that {train} does not have",
                "add training images of this class, or rename or delete the folder",
            )
    return FolderLayout(root=root, classes=classes, train=train, validation=validation, test=test)


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from None


def _classes(path: Path, folders: list[str]) -> tuple[str, ...]:
    if len(folders) < 2:
        found = f"only the class {folders[0]!r}" if folders else "no class folders"
        raise BadFile(f"{path} has {found}", "sort its images into one folder per class, at least two")
    if unprintable := [name for name in folders if name != _printable(name)]:
        raise BadFile(f"{path}: the folder name {_printable(unprintable[0])} is not UTF-8", "rename the folder")
    return tuple(folders)


def _printable(name: str) -> str:
    """A file name with "?" for each byte that is not UTF-8."""
    return name.encode("utf-8", "replace").decode()


def read(layout: FolderLayout) -> Raw:
    """List the images of all splits."""
    files: list[File] = []
    labels: list[int] = []
    rows: list[np.ndarray | None] = []
    for split in (layout.train, layout.validation, layout.test):
        start = len(files)
        if split is not None:
            for label, name in enumerate(layout.classes):
                files += listed(layout.root, split / name)
                labels += [label] * (len(files) - len(labels))
        rows.append(None if split is None else np.arange(start, len(files)))
    train, validation, test = rows
    assert train is not None
    return Raw(
        source=Files(layout.root, files, np.array(labels, np.int64)),
        train=train, validation=validation, test=test, layout=_recorded(layout),
    )  # fmt: skip


def _recorded(layout: FolderLayout) -> Layout:
    if layout.train == layout.root:
        return Layout(kind="classes", folders={"train": ""})
    folders = {"train": layout.train, "validation": layout.validation, "test": layout.test}
    return Layout(kind="splits", folders={name: path.name for name, path in folders.items() if path})


def listed(root: Path, folder: Path) -> list[File]:
    """The image files in a folder inside `root`, and in its subfolders, by name. Hidden ones are left out."""
    return sorted(_images(root, folder), key=lambda file: file.name)


def _images(root: Path, folder: Path) -> Iterator[File]:

    def fail(error: OSError) -> None:
        raise BadFile(f"{error.filename} cannot be read: {error.strerror}") from None

    prefix = len(str(root).rstrip("/")) + 1
    for path, folders, names in os.walk(folder, onerror=fail if folder.is_dir() else None):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.startswith(".") or not name.lower().endswith(ENDINGS):
                continue
            full = os.path.join(path, name)
            try:
                found = os.stat(full)
                is_file = stat.S_ISREG(found.st_mode)  # opening a pipe would block
            except OSError:  # a broken link
                is_file = False
            yield File(full[prefix:], found.st_size, found.st_mtime_ns) if is_file else File(full[prefix:], -1, 0)


class Files:
    """A source of image files, decoded when it is opened or, with `stream`, each time they are used."""

    def __init__(self, root: Path, files: list[File], labels: np.ndarray) -> None:
        self.root, self.files, self.labels = root, files, labels

    def identities(self) -> np.ndarray:
        """Equal numbers mean equal bytes. Only files of the same size and with the same end are read whole."""
        keys: list[tuple] = [(file.size_bytes,) for file in self.files]
        for offset in (TAIL_BYTES, None):
            several = Counter(keys)
            alike = [i for i, key in enumerate(keys) if several[key] > 1]

            def extend(i: int, offset: int | None = offset, alike: list[int] = alike) -> None:
                keys[alike[i]] += (self._digest(self.files[alike[i]], offset),)

            in_threads(extend, len(alike))
        return numbered(keys)

    def _digest(self, file: File, tail_bytes: int | None) -> bytes:
        digest = hashlib.blake2b(digest_size=16)
        try:
            if file.size_bytes < 0:
                raise FileNotFoundError
            with (self.root / file.name).open("rb") as content:
                if tail_bytes:
                    content.seek(max(0, file.size_bytes - tail_bytes))
                while block := content.read(1 << 20):
                    digest.update(block)
        except OSError:  # an unreadable file equals no other; decoding will report it
            return file.name.encode("utf-8", "surrogateescape")
        return digest.digest()

    def names(self, rows: np.ndarray) -> bytes:
        lines = (f"{self.files[row].name}\0{self.files[row].size_bytes}\n" for row in rows)
        return "".join(lines).encode("utf-8", "surrogateescape")

    def content(self) -> Iterator[bytes]:
        """Names, sizes and times, like the key of the decoded cache: reading every file would take minutes."""
        for file in self.files:
            yield f"{file.name}\0{file.size_bytes}\0{file.mtime_ns}\n".encode("utf-8", "surrogateescape")

    def open(self, splits: Sequence[np.ndarray], size: int, decoding: Decoding) -> list[tuple[Pixels, np.ndarray]]:
        """Training and validation images share one cache, since another seed divides them differently. The last split,
        the test split, has its own, which all seeds and subsets share. Raises BadFile that names the broken files."""
        *pool, test = splits
        groups = [np.unique(np.concatenate(pool)), np.sort(test)]
        stores, broken = self._decoded(groups, size, decoding)
        opened: list[tuple[Pixels, np.ndarray]] = []
        for i, rows in enumerate(splits):
            which = int(i == len(splits) - 1)
            kept = rows[~np.isin(rows, broken)]
            opened.append((Selected(stores[which], np.searchsorted(groups[which], kept)), kept))
        return opened

    def open_all(self, size: int, decoding: Decoding) -> tuple[Pixels, np.ndarray]:
        """All images, and the rows of the broken ones, whose pixels mean nothing. Raises BadFile as `open` does."""
        (store,), broken = self._decoded([np.arange(len(self.files))], size, decoding)
        return store, broken

    def printable(self, rows: np.ndarray) -> tuple[str, ...]:
        return tuple(_printable(self.files[row].name) for row in rows)

    def _decoded(self, groups: Sequence[np.ndarray], size: int, decoding: Decoding) -> tuple[list[Pixels], np.ndarray]:
        """The pixels of each group of rows, and the rows that are broken, in order."""
        total, done = sum(map(len, groups)), 0
        stores: list[Pixels] = []
        broken: dict[int, str] = {}
        for group in groups:
            start, files = done, [self.files[row] for row in group]
            show = lambda count, start=start: decoding.on_progress(start + count, total)  # noqa: E731
            store, found = (streamed if decoding.stream else cached)(self.root, files, size, show)
            stores.append(store)
            broken |= {int(group[row]): reason for row, reason in zip(found.rows, found.reasons, strict=True)}
            done += len(group)
        if broken and not decoding.skip_broken:
            shown = [f"{self.root / self.files[row].name} ({reason})" for row, reason in sorted(broken.items())[:SHOWN]]
            listed = _printable(", ".join(shown))
            more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
            raise BadFile(
                f"{len(broken)} of {total} images cannot be decoded: {listed}{more}",
                "repair or delete them, or leave them out with --skip-broken",
            )
        return stores, np.array(sorted(broken), np.int64)


class Selected:
    """A selection of rows of decoded images, in its own order."""

    def __init__(self, store: Pixels, rows: np.ndarray) -> None:
        self._store, self._rows = store, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return np.asarray(self._store[self._rows[rows]])
