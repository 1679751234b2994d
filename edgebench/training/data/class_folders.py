"""A dataset as a folder of image files: lists those of each split and class, and reads them.

A link that stands for a split, a class or an image is followed, also out of the folder: people build subsets of large
datasets out of links, and nothing is ever written here. Linked folders inside a class are not followed: they may form
a circle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.protocols import Pixels
from edgebench.records.account import Layout, LeftOut, Reason
from edgebench.training.data import kinds, likeness, listing, test_hash
from edgebench.training.data.decoding import File, cached, depths, streamed
from edgebench.training.data.layouts import SPLIT_ORDER, FolderLayout
from edgebench.training.data.levels import Depths
from edgebench.training.data.listing import Listing, printable
from edgebench.training.data.sources import Alike, Decoding, Raw

SHOWN = 3


def read(layout: FolderLayout) -> Raw:
    """List the images of all splits, and what else there is."""
    found = listing.walk(layout.root, layout.places, layout.unused)
    return gathered(layout.root, found, len(layout.classes), layout.recorded, found.left_out())


def gathered(root: Path, found: Listing, classes: int, layout: Layout, left_out: tuple[LeftOut, ...]) -> Raw:
    """The images of a listing whose places are a split and a label: by split, by class, and by name."""
    files: list[File] = []
    labels: list[int] = []
    rows: dict[str, np.ndarray] = {}
    present = {split for split, _ in found.pictures}
    for split in SPLIT_ORDER:
        start = len(files)
        for label in range(classes):
            files += found.pictures.get((split, label), [])
            labels += [label] * (len(files) - len(labels))
        if split == "train" or split in present:
            rows[split] = np.arange(start, len(files))
    return Raw(
        source=Files(root, files, np.array(labels, np.int64)), train=rows["train"], validation=rows.get("validation"),
        test=rows.get("test"), layout=layout, left_out=left_out,
    )  # fmt: skip


def listed(folder: Path) -> list[File]:
    """The image files in a folder and in its subfolders, by name."""
    return listing.walk(folder, {"": ""}).pictures[""]


class Files:
    """A source of image files, decoded when it is opened or, with `stream`, each time they are used."""

    def __init__(self, root: Path, files: list[File], labels: np.ndarray) -> None:
        self.root, self.files, self.labels = root, files, labels

    def alike(self, decoding: Decoding, *, near_copies: bool) -> Alike:
        found, broken = likeness.alike(self.root, self.files, decoding.on_progress, near_copies=near_copies)
        self._refuse(broken, len(self.files), decoding)
        return found

    def names(self, rows: np.ndarray) -> bytes:
        lines = (f"{self.files[row].name}\0{self.files[row].size_bytes}\n" for row in rows)
        return "".join(lines).encode("utf-8", "surrogateescape")

    def content(self) -> Iterator[bytes]:
        """Names, sizes and times, like the key of the decoded cache: reading every file would take minutes."""
        for file in self.files:
            yield f"{file.name}\0{file.size_bytes}\0{file.mtime_ns}\n".encode("utf-8", "surrogateescape")

    def depths(self, rows: np.ndarray, *, keep: bool) -> Depths:
        return depths(self.root, [self.files[row] for row in np.sort(rows)], keep=keep)

    def contents(self, rows: np.ndarray) -> list[bytes]:
        return test_hash.of_files(self.root, [self.files[row] for row in rows])

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
        return tuple(printable(self.files[row].name) for row in rows)

    def fault(self, row: int) -> Reason:
        return kinds.fault(str(self.root / self.files[row].name))

    def _decoded(self, groups: Sequence[np.ndarray], size: int, decoding: Decoding) -> tuple[list[Pixels], np.ndarray]:
        """The pixels of each group of rows, and the rows that are broken, in order."""
        total, done = sum(map(len, groups)), 0
        stores: list[Pixels] = []
        broken: dict[int, str] = {}
        for group in groups:
            start, files = done, [self.files[row] for row in group]
            show = lambda count, start=start: decoding.on_progress(start + count, total)  # noqa: E731
            store, found = (streamed if decoding.stream else cached)(self.root, files, size, decoding.levels, show)
            stores.append(store)
            broken |= {int(group[row]): reason for row, reason in zip(found.rows, found.reasons, strict=True)}
            done += len(group)
        self._refuse(broken, total, decoding)
        return stores, np.array(sorted(broken), np.int64)

    def _refuse(self, broken: dict[int, str], total: int, decoding: Decoding) -> None:
        """Raise BadFile if there are broken files, given with the reason by row, and they are not to be skipped."""
        if broken and not decoding.skip_broken:
            shown = [f"{self.root / self.files[row].name} ({reason})" for row, reason in sorted(broken.items())[:SHOWN]]
            listed = printable(", ".join(shown))
            more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
            raise BadFile(
                f"{len(broken)} of {total} images cannot be decoded: {listed}{more}",
                "repair or delete them, or leave them out with --skip-broken",
            )


class Selected:
    """A selection of rows of decoded images, in its own order."""

    def __init__(self, store: Pixels, rows: np.ndarray) -> None:
        self._store, self._rows = store, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        return np.asarray(self._store[self._rows[rows]])
