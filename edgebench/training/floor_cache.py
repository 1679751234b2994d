"""Floors that were computed before, in WORKSPACE/floors: a study trains on the same images many times."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile
from edgebench.records import digests, jsonio
from edgebench.records.floor import FloorMethod, FloorName


@dataclass(frozen=True)
class KnownFloor:
    """The methods of a floor, which of them is best, and for each test image whether that one has it right."""

    methods: tuple[FloorMethod, ...]
    best: FloorName | None
    right: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """A file of the cache. `key`: what the floor depends on; `right`: bits in base64; `sha256`: of all the rest."""

    key: str
    methods: tuple[FloorMethod, ...]
    best: FloorName | None
    images: int
    right: str
    sha256: str = ""
    schema: int = 1


def read(folder: Path, key: str, say: Callable[[str], None]) -> KnownFloor | None:
    """The floor with this key; None if there is none, or if its file is damaged, which is said."""
    path = _path(folder, key)
    if not path.exists():
        return None
    try:
        kept = jsonio.read(_Kept, path)
        if (kept.key, kept.sha256) != (key, _sha256(kept)):
            raise BadFile("its sha256 is not that of its content")
        bits = np.frombuffer(base64.b64decode(kept.right, validate=True), np.uint8)
        return KnownFloor(kept.methods, kept.best, np.unpackbits(bits, count=kept.images).astype(bool))
    except (BadFile, ValueError) as error:
        say(f"the floor is computed again: {path} is damaged: {error}")
        return None


def write(folder: Path, key: str, found: KnownFloor, say: Callable[[str], None]) -> None:
    """Keep a floor. A folder that cannot be written keeps nothing, which is said."""
    right = base64.b64encode(np.packbits(found.right).tobytes()).decode()
    kept = _Kept(key=key, methods=found.methods, best=found.best, images=len(found.right), right=right)
    try:
        jsonio.write(_path(folder, key), dataclasses.replace(kept, sha256=_sha256(kept)))
    except OSError as error:
        say(f"the floor is not kept for other trainings: {error}")


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key[:32]}.json"


def _sha256(kept: _Kept) -> str:
    return digests.of_data(dataclasses.replace(kept, sha256=""))
