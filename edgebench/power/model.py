"""No meter but a model: the CPU's utilisation × watts that were declared. Always labelled modelled, never guessed."""

from __future__ import annotations

import time

import psutil

from edgebench.energy import Sample, Scope
from edgebench.errors import Unsupported
from edgebench.power.place import Place

RAIL = "declared"


class Model:
    """Power = idle + utilisation × (maximum − idle), of the whole machine. It knows nothing of clocks, of vector
    units or of memory, so it ranks nothing that uses the same share of the CPU: a figure to plan with, no measurement.
    """

    name, modelled, streams, interval_s = "model", True, True, 0.1
    scope: Scope | None = "system"
    total_rails = (RAIL,)

    def __init__(self, place: Place) -> None:
        if place.watts is None:
            raise Unsupported(
                "a model of power needs watts that somebody declares",
                "--watts IDLE:MAX, from a plug-in meter or the power supply's data sheet: --watts 3.5:12",
            )
        self._idle_w, self._max_w = place.watts
        psutil.cpu_percent()  # each call tells of the time since the one before it
        self._looked = time.monotonic()

    def read(self) -> Sample | None:
        if time.monotonic() - self._looked < self.interval_s / 2:
            return None  # too short a time to have a share
        self._looked = time.monotonic()
        share = psutil.cpu_percent() / 100
        power = 1000 * (self._idle_w + share * (self._max_w - self._idle_w))
        return Sample(time.perf_counter_ns(), power, {RAIL: power})

    def close(self) -> None:
        """Nothing is held open."""
