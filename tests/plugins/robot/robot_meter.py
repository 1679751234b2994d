"""A plug-in's meter: an instrument that always tells five watts and a bit."""

from __future__ import annotations

import itertools
import time

from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample


class RobotMeter:
    name, scope, modelled, streams, interval_s = "robotmeter", "system", False, True, 0.05
    total_rails = ("plug",)
    sees, machines, place = ("cpu",), "a robot on the bench", 1

    def __init__(self, place: Place) -> None:
        self._told = itertools.cycle((5000.0, 5010.0))

    def read(self) -> Sample:
        power = next(self._told)
        return Sample(time.perf_counter_ns(), power, {"plug": power})

    def close(self) -> None:
        """Nothing is held open."""
