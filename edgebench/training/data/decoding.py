"""Decodes image files: once into a cache that is mapped into memory, or each time they are used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.errors import BadFile, EdgebenchError
from edgebench.records import caches, jsonio
from edgebench.records.levels import Levels
from edgebench.records.replacing import taken
from edgebench.training.data import formats
from edgebench.training.data.levels import Depths, measured, to_rgb
from edgebench.training.data.pixels import in_threads, resized

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class File:
    """An image file as it was listed. `name`: its path inside the dataset's folder; size_bytes: −1 if unreadable."""

    name: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Broken:
    """The rows of the files that could not be decoded, and the reason for each."""

    rows: tuple[int, ...]
    reasons: tuple[str, ...]


def cache_folder() -> Path:
    """Where decoded images are kept: decoded/ in EDGEBENCH_CACHE, by default in ~/.cache/edgebench."""
    return caches.place("decoded")


def decode(path: Path, size: int, levels: Levels | None = None) -> np.ndarray:
    """One image file as uint8 (size, size, 3), RGB. Raises BadFile with the reason if it cannot be decoded.

    `levels`: of the training set, for pictures of more than 8 bits.
    """
    with opened(path) as image:
        return resized(to_rgb(image, levels), size)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file opened by Pillow. What it raises while it is in use becomes BadFile with the reason."""
    from PIL import UnidentifiedImageError

    try:
        with formats.opened(path) as image:
            yield image
    except BadFile:
        raise
    except UnidentifiedImageError:
        raise BadFile(formats.unreadable(path)) from None
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadFile(" ".join(reason.encode("utf-8", "replace").decode().split())) from None


def usual_side(paths: Sequence[Path]) -> int | None:
    """The median of the images' shorter sides in pixels, from their headers; None if none of them can be read."""
    sides = []
    for path in paths:
        with contextlib.suppress(Exception), formats.opened(path) as image:  # training reports a broken one
            sides.append(min(image.size))
    return sorted(sides)[len(sides) // 2] if sides else None


class Streamed:
    """Image files that are decoded each time they are used (see Pixels)."""

    def __init__(self, root: Path, files: list[File], size: int, levels: Levels | None) -> None:
        self._root, self._files, self._size, self._levels = root, files, size, levels

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        wanted = np.arange(len(self))[rows]
        images = np.empty((len(wanted), self._size, self._size, 3), np.uint8)

        def place(i: int) -> None:
            path = self._root / self._files[wanted[i]].name
            try:
                images[i] = decode(path, self._size, self._levels)
            except BadFile as error:  # it could be decoded when training began
                raise BadFile(f"{path} can no longer be decoded: {error.message}") from None

        in_threads(place, len(wanted))
        return images


def streamed(
    root: Path, files: list[File], size: int, levels: Levels | None, on_progress: Callable[[int], None]
) -> tuple[Streamed, Broken]:
    """The files, each decoded once now, so that a broken one is found before training and not hours into it."""
    broken = _decode_all(root, files, size, levels, lambda row, image: None, on_progress)
    return Streamed(root, files, size, levels), broken


def cached(
    root: Path, files: list[File], size: int, levels: Levels | None, on_progress: Callable[[int], None]
) -> tuple[np.ndarray, Broken]:
    """The decoded files as uint8 (n, size, size, 3), mapped from a file in `cache_folder`; rows of broken ones are 0.

    The same files (path, size and time of change), image size, levels and version of Pillow use the same cache file,
    which is written whole or not at all. Raises EdgebenchError if the disk has too little space.
    """
    path = cache_folder() / f"{_key(root, files, size, levels)}.npy"
    shape = (len(files), size, size, 3)
    beside = path.with_suffix(".json")
    if path.is_file():
        try:
            found = np.lib.format.open_memmap(path, mode="r")
            if found.shape == shape and found.dtype == np.uint8:
                broken = jsonio.read(Broken, beside)
                on_progress(len(files))
                return found, broken
        except (BadFile, ValueError):  # damaged: decode again
            path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    discard_abandoned(path.parent)
    needed, free = int(np.prod(shape)), shutil.disk_usage(path.parent).free
    if needed > free:
        raise EdgebenchError(
            f"the {len(files)} decoded images need {needed / 2**30:.1f} GiB, but {path.parent} has only "
            f"{free / 2**30:.1f} GiB free",
            "decode them on demand with --stream, set EDGEBENCH_CACHE to another disk, or use a smaller --subset",
        )
    handle, partial = unfinished(path)
    try:
        images = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        broken = _decode_all(root, files, size, levels, images.__setitem__, on_progress)
        images.flush()
        del images
        jsonio.write(beside, broken)
        os.replace(partial, path)
    finally:
        Path(partial).unlink(missing_ok=True)
        os.close(handle)
    return np.lib.format.open_memmap(path, mode="r"), broken


def unfinished(path: Path) -> tuple[int, str]:
    """A new file beside `path`, to be moved there, as an open descriptor and a name. It is ours while that is open."""
    while True:
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".partial")
        if taken(handle) and os.fstat(handle).st_nlink:
            return handle, partial
        os.close(handle)  # another process took it for an abandoned one before we had the lock


def discard_abandoned(folder: Path) -> None:
    """Delete half-decoded files of killed processes: the kernel has released their locks."""
    for partial in folder.glob(".*.partial"):
        with contextlib.suppress(OSError), partial.open("rb") as file:  # it may be gone
            if taken(file):  # else it is being written
                partial.unlink()


def depths(root: Path, files: list[File], *, keep: bool) -> Depths:
    """How deep these files are, and their levels. With `keep`, what was found before is read from a file beside the
    decoded images, or written there."""
    path = cache_folder() / f"{_key(root, files, 0)}.depths.json"
    if keep and path.is_file():
        with contextlib.suppress(BadFile):  # damaged: look again
            return jsonio.read(Depths, path)
    found = measured([root / file.name for file in files])
    if keep:
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonio.write(path, found)
    return found


def _key(root: Path, files: list[File], size: int, levels: Levels | None = None) -> str:
    import PIL

    digest = hashlib.sha256(f"{PIL.__version__} {size} {root.resolve()}".encode("utf-8", "surrogateescape"))
    for file in files:
        line = f"\n{file.name}\0{file.size_bytes}\0{file.mtime_ns}"
        digest.update(line.encode("utf-8", "surrogateescape"))
    if levels is not None:
        digest.update(f"\n{levels.low} {levels.high}".encode())
    return digest.hexdigest()[:32]


def _decode_all(
    root: Path,
    files: list[File],
    size: int,
    levels: Levels | None,
    keep: Callable[[int, np.ndarray], None],
    on_progress: Callable[[int], None],
) -> Broken:
    reasons: dict[int, str] = {}

    def one(row: int) -> None:
        try:
            image = decode(root / files[row].name, size, levels)
        except BadFile as error:
            reasons[row] = error.message
        else:
            keep(row, image)

    in_threads(one, len(files), on_progress)
    return Broken(tuple(sorted(reasons)), tuple(reasons[row] for row in sorted(reasons)))
