"""A model instead of a meter: the CPU's utilisation × declared watts. Its figures are always labelled modelled."""

from __future__ import annotations

import time

import psutil

from edgebench.errors import Unsupported
from edgebench.machine.power.place import Place, Watts
from edgebench.records.energy import Sample, Scope

RAIL = "declared"


class Model:
    """Power = idle + utilisation × (maximum − idle), for the whole machine.

    It ignores clocks, vector units and memory, so it cannot rank models that use the same share of the CPU. It is a
    figure for planning, not a measurement.
    """

    name, modelled, streams, interval_s = "model", True, True, 0.1
    sees, machines, auto_order = ("cpu",), "any machine whose draw is declared", 90
    takes_watts = True
    total_rails = (RAIL,)

    def __init__(self, place: Place) -> None:
        self.scope: Scope | None = "system"
        declared, watts = place.profile.power, place.watts
        if watts is None and declared.idle_w is not None and declared.max_w is not None:
            watts, self.scope = Watts(declared.idle_w, declared.max_w), declared.scope
        if watts is None:
            raise Unsupported(
                "the power model needs declared watts",
                "--watts IDLE:MAX, from a plug-in meter or the power supply's data sheet: --watts 3.5:12",
            )
        self._watts = watts
        self._last = _cpu_seconds()

    def read(self) -> Sample | None:
        # Not psutil.cpu_percent, which starts again in each thread.
        busy, total = _cpu_seconds()
        used, passed = busy - self._last[0], total - self._last[1]
        if passed <= 0:
            return None
        self._last = busy, total
        share = min(1.0, max(0.0, used / passed))
        power = 1000 * (self._watts.idle + share * (self._watts.most - self._watts.idle))
        return Sample(time.perf_counter_ns(), power, {RAIL: power})

    def close(self) -> None:
        """Nothing is held open."""


def _cpu_seconds() -> tuple[float, float]:
    """The busy time and the total time of all cores since boot, in seconds."""
    told = psutil.cpu_times()._asdict()
    total = sum(value for name, value in told.items() if not name.startswith("guest"))  # user and nice include them
    return total - sum(told.get(name, 0.0) for name in ("idle", "iowait", "steal")), total
