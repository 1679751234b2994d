"""sha256 of files, bytes and data, of which identities are made."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from edgebench.records import jsonio


def of_file(path: Path) -> str:
    """The sha256 of a file in hexadecimal. Reads it in blocks, so it may be of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def of_bytes(content: bytes) -> str:
    """The sha256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def of_data(data: Any) -> str:
    """The sha256 of dataclasses, or containers of them, by their canonical JSON: the same value has the same digest."""
    return of_bytes(jsonio.dumps(data).encode())
