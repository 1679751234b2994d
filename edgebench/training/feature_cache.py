"""The features of images on disk, in float16: each found again by the hash of the pixels that the network got."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgebench.records import digests, jsonio, replacing

DIGEST_BYTES = 16
SCHEMA = 1  # of a cache file: raise it if the meaning of its arrays changes
FACTS = "facts.json"


def hashes(images: np.ndarray) -> list[bytes]:
    """A hash of each of the uint8 images (n, h, w, 3)."""
    return [hashlib.blake2b(np.ascontiguousarray(image), digest_size=DIGEST_BYTES).digest() for image in images]


class FeatureCache:
    """The features of one network, in a folder that is named by the hash of `facts`: all that they depend on.

    A file holds the hashes of images and their features, and is named by its sha256. One whose content does not fit its
    name is deleted, `say` hears of it, and its features are computed anew.
    """

    def __init__(self, root: Path, facts: Mapping[str, Any], say: Callable[[str], None]) -> None:
        self.folder = root / digests.of_data({"schema": SCHEMA, **facts})[:32]
        self._facts, self._known = facts, dict[bytes, np.ndarray]()
        for path in sorted(self.folder.glob("*.npz")) if self.folder.is_dir() else ():
            try:
                self._known |= _read(path)
            except (OSError, ValueError, KeyError) as error:
                say(f"{path} is damaged and not used ({error}): its features are computed anew")
                with contextlib.suppress(OSError):
                    path.unlink()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, image: bytes) -> bool:
        return image in self._known

    def __getitem__(self, image: bytes) -> np.ndarray:
        return self._known[image]

    def add(self, images: list[bytes], features: np.ndarray) -> None:
        """Keep the features, float16 (n, width), of these images: for now in memory, and in a file of their own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / FACTS).is_file():
            jsonio.write(self.folder / FACTS, dict(self._facts))
        content = io.BytesIO()
        np.savez(content, images=np.frombuffer(b"".join(images), np.uint8), features=features)
        with replacing.rewritten(self.folder / f"{digests.of_bytes(content.getvalue())}.npz") as file:
            file.write(content.getbuffer())
        self._known |= dict(zip(images, features, strict=True))


def _read(path: Path) -> dict[bytes, np.ndarray]:
    """Raises ValueError for a file that is not as it was written."""
    content = path.read_bytes()
    if digests.of_bytes(content) != path.stem:
        raise ValueError("its sha256 is not the one in its name")
    with np.load(io.BytesIO(content), allow_pickle=False) as data:
        images, features = data["images"].tobytes(), data["features"]
    keys = [images[start : start + DIGEST_BYTES] for start in range(0, len(images), DIGEST_BYTES)]
    if features.dtype != np.float16 or features.ndim != 2 or len(features) != len(keys):
        raise ValueError(f"it holds {features.dtype}{features.shape} for {len(keys)} images")
    return dict(zip(keys, features, strict=True))
