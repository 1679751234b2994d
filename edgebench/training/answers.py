"""Keeps a teacher's answers on disk, so that they are computed once for the same images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import EdgebenchError
from edgebench.records import digests, jsonio, replacing

SCHEMA = 1


@dataclass(frozen=True)
class _Kept:
    """What is written beside the numbers: their sha256, by which a file that was cut or changed is noticed."""

    sha256: str
    schema: int = SCHEMA


def kept(folder: Path | None, key: str, make: Callable[[], np.ndarray], say: Callable[[str], None]) -> np.ndarray:
    """The numbers in `folder` under this key, mapped from their file; what `make` gives if there are none, and kept.

    A file that was changed or cut since it was written is made again, and `say` is told. Without a folder nothing is
    kept.
    """
    if folder is None:
        return make()
    path, beside = folder / f"{key}.npy", folder / f"{key}.json"
    if path.is_file() and (written := jsonio.read_if_good(_Kept, beside)):
        if digests.of_file(path) == written.sha256:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        say(f"the teacher's answers in {path} were cut or changed after they were written: they are computed again")
    found = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing.rewritten(path) as file:
            np.save(file, found, allow_pickle=False)
            file.flush()
            sha256 = digests.of_file(Path(file.name))
        jsonio.write(beside, _Kept(sha256))
    except OSError as error:
        raise EdgebenchError(f"the teacher's answers cannot be kept in {folder}: {error}", "make room there") from None
    return found
