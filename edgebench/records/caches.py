"""Where edgebench keeps what can be made again: EDGEBENCH_CACHE, by default ~/.cache/edgebench. All of it may go."""

from __future__ import annotations

import os
from pathlib import Path

from edgebench.errors import EdgebenchError


def place(name: str) -> Path:
    """The folder of that name in the cache, which need not exist."""
    return Path(os.environ.get("EDGEBENCH_CACHE") or Path.home() / ".cache" / "edgebench").expanduser() / name


def compiled(runtime: str, identity: str) -> Path:
    """The folder for what a runtime makes of the artifact with this identity; it is made if it does not exist."""
    folder = place("compiled") / f"{runtime}-{identity[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EdgebenchError(
            f"cannot keep compiled models in {folder}: {error.strerror}", "set EDGEBENCH_CACHE to another folder"
        ) from error
    return folder
