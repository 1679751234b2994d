"""Pictures that tests compare: scenes unlike each other, the same saved anew, and the files of a folder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from edgebench.training.data import likeness
from edgebench.training.data.decoding import File


def scene(seed: int, size: int = 64) -> Image.Image:
    """A picture with large and small shapes, unlike those of other seeds."""
    random = np.random.default_rng(seed)
    image = np.zeros((size, size, 3))
    for cells in (3, 7, 16):
        coarse = Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8))
        image += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), float) / cells
    image -= image.min()
    return Image.fromarray((image / image.max() * 255).astype(np.uint8))


def resaved(image: Image.Image, how: str) -> Image.Image:
    if how.startswith("jpeg"):
        file = BytesIO()
        image.save(file, "jpeg", quality=int(how[4:]))
        return Image.open(file).convert("RGB")
    if how == "brighter":
        return image.point(lambda value: min(255, int(value * 1.08 + 4)))
    scale = float(how)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def files_of(root: Path) -> list[File]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return [File(str(p.relative_to(root)), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


def alike(root: Path, *, near_copies: bool = True):
    files = files_of(root)
    found, _ = likeness.alike(root, files, lambda done, total: None, near_copies=near_copies)
    return {file.name: (int(found.same[i]), int(found.near[i])) for i, file in enumerate(files)}
