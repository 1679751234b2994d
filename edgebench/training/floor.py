"""Computes the floor of a checkpoint: what needs no network, on its own splits, and how its network compares."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from edgebench import __version__, artifact
from edgebench.errors import EdgebenchError
from edgebench.records import digests, jsonio
from edgebench.records.floor import MOST_IMAGES, Beside, Floor
from edgebench.results import stats
from edgebench.training import floor_cache
from edgebench.training.data import Splits
from edgebench.training.floor_cache import KnownFloor
from edgebench.training.floor_methods import METHODS, Method, Tried, load_libraries, majority, run
from edgebench.training.small_pixels import SmallImages, read

TEST_IMAGES = 10_000  # at most: the interval of a difference is then within a point
READ_S = 20.0  # of reading the images: it takes long only where they are decoded on demand
LIBRARIES = ("scikit-learn", "numpy", "scipy")

Clock = Callable[[], float]
Say = Callable[[str], None]


def add(
    out: Path, splits: Splits, answers: np.ndarray, cache: Path | None, *, say: Say, clock: Clock = time.monotonic
) -> None:
    """Add the floor to the checkpoint in the folder `out`, which is whole before and after it.

    `answers`: int (n,), the classes that its network puts first, of all test images. `cache`: the folder of floors that
    were computed before. Ctrl-C leaves out the methods that are not done.
    """
    if splits.info.train > MOST_IMAGES:
        say(f"no floor: it is for at most {MOST_IMAGES:,} training images, these are {splits.info.train:,}")
        return
    try:
        floor = of(splits, answers, cache, say=say, clock=clock)
    except EdgebenchError as error:  # an image that can no longer be decoded: the checkpoint stands
        say(f"no floor: {error}")
        return
    found = artifact.read(out, verify=False)
    path = out / artifact.manifest_name(found.format)
    jsonio.write(path, replace(found, training=replace(found.training, floor=floor)))


def expected_s(images: int) -> float:
    """About how many seconds `add` takes with so many training images: docs/results.md has what it took."""
    return 0.0 if images > MOST_IMAGES else min(10.0, 1.0 + 0.0015 * images)


def of(
    splits: Splits, answers: np.ndarray, cache: Path | None = None, *, methods: Sequence[Method] = METHODS,
    say: Say = lambda text: None, clock: Clock = time.monotonic,
) -> Floor:  # fmt: skip
    """The floor of these splits, and beside it the network that gave these answers to the test images.

    It computes in one thread: the products are small, and two threads that waited for each other took ten times as
    long.
    """
    from threadpoolctl import threadpool_limits

    began = clock()
    libraries = {"edgebench": __version__} | {name: metadata.version(name) for name in LIBRARIES}
    parts: tuple[SmallImages, ...] = ()
    tried: list[Tried] = []
    kept, interrupted, pixels_sha256 = None, False, ""
    with threadpool_limits(limits=1):
        try:
            parts = _small(splits, clock)
            pixels_sha256 = _digest(parts)
            key = digests.of_data([splits.info.indices_sha256, pixels_sha256, libraries, list(map(_told, methods))])
            kept = floor_cache.read(cache, key, say) if cache else None
            if kept is None:
                load_libraries()
                tried.append(majority(*parts))
                for method in methods:
                    tried.append(run(method, *parts, clock))
        except KeyboardInterrupt:
            interrupted = True
            say("the floor was interrupted: it has what was done, and the checkpoint is whole")
    test_labels = parts[2].labels if parts else np.zeros(0, np.int64)
    found = kept or _best(tried)
    if cache and kept is None and not interrupted and not any(each.by_clock for each in tried):
        floor_cache.write(cache, key, found, say)
    return Floor(
        indices_sha256=splits.info.indices_sha256, pixels_sha256=pixels_sha256,
        validation_images=len(splits.validation) if parts else 0, test_images=len(test_labels), methods=found.methods,
        best=found.best, seconds=round(clock() - began, 3), libraries=libraries,
        beside=compare(answers[: len(test_labels)] == test_labels, found.right) if found.best else None,
        reused=kept is not None, interrupted=interrupted,
    )  # fmt: skip


def compare(network: np.ndarray, floor: np.ndarray) -> Beside:
    """The network beside the floor; both are bool (n,): whether it has that test image right."""
    images, only_network, only_floor = len(network), int((network & ~floor).sum()), int((floor & ~network).sum())
    low, high = stats.paired_difference(only_network, only_floor, images)
    return Beside(
        images=images, network_accuracy=float(network.mean()), floor_accuracy=float(floor.mean()),
        only_network=only_network, only_floor=only_floor, difference=(only_network - only_floor) / images,
        low=low, high=high, verdict="above" if low > 0 else "below" if high < 0 else "unclear",
    )  # fmt: skip


def _small(splits: Splits, clock: Clock) -> tuple[SmallImages, SmallImages, SmallImages]:
    """The splits in small. Where reading takes too long, the last training and test images are left out."""
    began = clock()
    validation = read(splits.validation, len(splits.validation), enough=lambda: False)
    train = read(splits.train, MOST_IMAGES, enough=lambda: clock() - began > READ_S / 2)
    test = read(splits.test, TEST_IMAGES, enough=lambda: clock() - began > READ_S)
    if train.grey and validation.grey and test.grey:
        return train.in_grey(), validation.in_grey(), test.in_grey()
    return train, validation, test


def _digest(parts: Sequence[SmallImages]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        part.hash_into(digest)
    return digest.hexdigest()


def _told(method: Method) -> dict[str, object]:
    """All that decides what a method gives."""
    return {name: value for name, value in vars(method).items() if name != "make"}


def _best(tried: Sequence[Tried]) -> KnownFloor:
    """The last method, which is as a rule the strongest, that is within a standard error of the best on validation.

    So that one image of a few hundred does not decide. The error is that of the difference on the same images: √(a + b)
    where each of the two has so many right alone.
    """
    judged = [each for each in tried if each.validated is not None]
    records = tuple(each.record for each in tried)
    if not judged:
        return KnownFloor(records, None, np.zeros(0, bool))
    top = max(judged, key=lambda each: each.validated.sum()).validated
    for each in reversed(judged):
        more, fewer = int((top & ~each.validated).sum()), int((each.validated & ~top).sum())
        if (more - fewer) ** 2 <= more + fewer:
            return KnownFloor(records, each.record.name, each.right)
    raise AssertionError("the best one is within an error of itself")
