"""Reads one meter for a while with nothing else running: its values over time and their mean."""

from __future__ import annotations

import time
from collections.abc import Callable

from edgebench.errors import positive
from edgebench.machine.power import make_meter, open_meter
from edgebench.machine.power.place import Place
from edgebench.machine.power.sampling import Sampler
from edgebench.machine.power.window import Window, summary
from edgebench.records.energy import Energy, Sample

TELL_EVERY_S = 1.0


def watch(
    meter: str, place: Place, seconds: float, on_sample: Callable[[Sample | None], None] = lambda sample: None
) -> Energy:
    """Read a meter for this long; with "auto" the best one that works here. Once a second, `on_sample` gets the last
    value, or None before the first.

    Raises EdgebenchError if the meter does not work. An answer without a mean gives the `reason`.
    """
    positive("--seconds", seconds)
    opened = open_meter("auto", place, place.profile.compute) if meter == "auto" else make_meter(meter, place)
    with Sampler(opened) as sampler:
        sampler.wait_past(0)
        began_ns = time.perf_counter_ns()
        deadline = time.monotonic() + seconds
        while sampler.error is None and (left := deadline - time.monotonic()) > 0:
            sampler.wait(min(TELL_EVERY_S, left))
            on_sample(sampler.samples[-1] if sampler.samples else None)
        window = Window(began_ns, time.perf_counter_ns())
        if sampler.error:
            raise sampler.error
    return summary(opened, sampler.samples, window, min_window_s=0, min_updates=1)
