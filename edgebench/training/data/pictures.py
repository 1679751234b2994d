"""Pictures outside of a dataset: those of a folder or of single files, and one of them at a model's size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile, Unsupported, UsageError
from edgebench.records.preprocessing import Preprocessing
from edgebench.training.data import class_folders, kinds
from edgebench.training.data.decoding import opened
from edgebench.training.data.levels import to_rgb
from edgebench.training.data.listing import printable
from edgebench.training.data.pixels import fitted


def need_pillow() -> None:
    """Raise Unsupported where pictures cannot be read at all."""
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise Unsupported("reading pictures needs Pillow, which is not installed", "pip install pillow") from None


def files(paths: Sequence[Path]) -> list[Path]:
    """The pictures that are named, and those in the folders that are named, by name. Raises UsageError for none."""
    need_pillow()
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [path / file.name for file in class_folders.listed(path)]
            if not inside:
                raise UsageError(f"{printable(str(path))} holds no picture", "name another folder")
            found += inside
        elif kinds.kind(str(path.parent), path.name) is not None or not path.is_file():
            raise UsageError(f"{printable(str(path))} is no picture", "name pictures, or a folder of them")
        else:
            found.append(path)
    return found


def spread(found: Sequence[Path], most: int) -> list[Path]:
    """At most so many of them, evenly spread, so that they are of all folders."""
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))]


def read(path: Path, how: Preprocessing) -> np.ndarray:
    """A picture file as uint8 (height, width, 3), of the model's size. Raises BadFile that names it."""
    try:
        with opened(path) as image:
            return fitted(to_rgb(image, how.levels), how)
    except BadFile as error:
        raise BadFile(f"{printable(str(path))} cannot be decoded: {error.message}", "leave it out") from None
