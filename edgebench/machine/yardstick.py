"""Measures how fast the machine itself is at the moment, by the time of work that never changes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from edgebench.records.result import Yardstick

COPIED_BYTES = 2**25  # beyond the second-level caches, so that others' use of memory and the shared cache shows
TURNS = 20_000


def take() -> Yardstick | None:
    """Measure it, in about 30 ms; None if 64 MiB cannot be allocated. They are returned to the system afterwards."""
    try:
        # ones, not empty: pages that were never written are all the same page
        source, target = np.ones(COPIED_BYTES, np.uint8), np.ones(COPIED_BYTES, np.uint8)
    except MemoryError:
        return None
    return Yardstick(_median_ns(lambda: np.copyto(target, source), 3), _median_ns(_loop, 12))


def changes(base: Sequence[Yardstick], new: Sequence[Yardstick]) -> tuple[float, float]:
    """new ÷ base of the median times of the copy and of the loop; above 1, the machine was slower in new."""

    def of(name: str) -> float:
        before, after = (statistics.median(getattr(one, name) for one in side) for side in (base, new))
        return after / before

    return of("copy_ns"), of("loop_ns")


def _loop() -> int:
    total = 0
    for turn in range(TURNS):
        total += turn & 3
    return total


def _median_ns(work: Callable[[], object], times: int) -> int:
    seen = []
    for _ in range(times):
        began = time.perf_counter_ns()
        work()
        seen.append(time.perf_counter_ns() - began)
    return round(statistics.median(seen))
