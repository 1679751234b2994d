"""The sha256 of a file, of bytes and of data: what identities are made of."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from edgebench.records import jsonio


def of_file(path: Path) -> str:
    """In hexadecimal, as all of these. Reads the file in blocks, however large it is."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def of_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def of_data(data: Any) -> str:
    """Of the canonical JSON of dataclasses and containers of them: equal for equal values, on every machine."""
    return of_bytes(jsonio.dumps(data).encode())
