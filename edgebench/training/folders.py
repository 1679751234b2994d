"""Where the datasets and weights that a user has are looked for; loads no library."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Where named datasets are looked for: EDGEBENCH_DATA, by default ~/.cache/edgebench/data."""
    return Path(os.environ.get("EDGEBENCH_DATA") or Path.home() / ".cache" / "edgebench" / "data").expanduser()


def weights_folder(data_dir: str | None = None) -> Path:
    """Where `auto` looks for NAME.safetensors: EDGEBENCH_WEIGHTS, by default the folder `weights` of the datasets'."""
    given = os.environ.get("EDGEBENCH_WEIGHTS")
    return Path(given or Path(data_dir or data_folder()) / "weights").expanduser()
