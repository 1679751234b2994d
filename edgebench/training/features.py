"""The features of images: computed once for a backbone, a size and a runtime, and kept in a cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edgebench.errors import EdgebenchError
from edgebench.protocols import Pixels
from edgebench.specs import Training
from edgebench.training import feature_engines
from edgebench.training.backbone import Backbone
from edgebench.training.feature_cache import FeatureCache, hashes
from edgebench.training.feature_engines import Compute, FeatureEngine, Say

BLOCK = 256  # images in memory at once
KEEP_EVERY_S = 20.0  # after a kill, at most so much has to be computed again


class Features:
    """The features of one backbone; a context manager, which closes what it opened.

    `training` goes into the manifests that runtimes read. What is in the cache needs no runtime: `computed` counts the
    images that were not. `engine` says what computed them, and is None until that is known.
    """

    def __init__(self, backbone: Backbone, training: Training, folder: Path, say: Say) -> None:
        self._backbone, self._training, self._say = backbone, training, say
        self._facts, self._folder = backbone.facts(), folder
        self._stack = ExitStack()
        self._compute: Compute | None = None
        self._engines = feature_engines.engines()
        self.engine: FeatureEngine | None = None
        self._cache: FeatureCache | None = None
        self.computed = 0
        kept = [(cache, engine) for engine in self._engines if len(cache := self._cache_of(engine))]
        if kept:
            self._cache, self.engine = max(kept, key=lambda one: len(one[0]))

    def __enter__(self) -> Features:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def of(
        self, pixels: Pixels, on_image: Callable[[int, int], None] = lambda done, total: None, *, mirrored: bool = False
    ) -> np.ndarray:
        """float16 (n, width): of each image, or of its mirror image. `on_image(done, total)` counts images."""
        found = np.empty((len(pixels), self._backbone.width), np.float16)
        fresh: dict[bytes, np.ndarray] = {}
        kept_at = time.monotonic()
        for start in range(0, len(pixels), BLOCK):
            images = np.asarray(pixels[start : start + BLOCK])
            images = np.ascontiguousarray(images[:, :, ::-1]) if mirrored else images
            names = hashes(images)
            missing = [i for i, name in enumerate(names) if self._cache is None or name not in self._cache]
            made = self._made(images[missing]) if missing else np.empty(0)
            fresh |= {names[i]: row for i, row in zip(missing, made, strict=True)}
            for i, name in enumerate(names):
                found[start + i] = fresh[name] if name in fresh else self._cache[name]
            if time.monotonic() - kept_at > KEEP_EVERY_S:
                fresh, kept_at = self._keep(fresh), time.monotonic()
            on_image(start + len(names), len(pixels))
        self._keep(fresh)
        return found

    def _cache_of(self, engine: FeatureEngine) -> FeatureCache:
        facts = {**self._facts, "runtime": engine.name, "version": engine.version}
        return FeatureCache(self._folder, facts, self._say)

    def _keep(self, fresh: dict[bytes, np.ndarray]) -> dict[bytes, np.ndarray]:
        if fresh:
            self._cache.add(list(fresh), np.stack(list(fresh.values())))
        return {}

    def _made(self, images: np.ndarray) -> np.ndarray:
        """The features in float16. Raises EdgebenchError for those that float16 cannot hold."""
        if self._compute is None:
            self._open(images)
        features = self._compute(images)
        with np.errstate(over="ignore"):
            made = features.astype(np.float16)
        if not np.isfinite(made).all():
            raise EdgebenchError(
                f"{self._backbone.info.name} makes features that are not finite or above 65,504",
                "look at its weights, or take another backbone",
            )
        self.computed += len(images)
        return made

    def _open(self, images: np.ndarray) -> None:
        """Open what the cache was made with; without one, the fastest."""
        among = [self.engine] if self.engine else self._engines
        self.engine, self._compute = feature_engines.opened(
            among, self._backbone, self._training, images, self._stack, self._say
        )
        if self._cache is None:
            self._cache = self._cache_of(self.engine)
