"""A battery's own account of what is drawn from it, unplugged, as Linux shows it in sysfs."""

from __future__ import annotations

import time
from pathlib import Path

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.fingerprint import integer, read
from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample, Scope

SUPPLIES = "sys/class/power_supply"


def power_mw(battery: Path) -> float | None:
    """What is drawn from it now: power_now (µW), else current_now (µA) × voltage_now (µV).

    Drivers differ in the sign.
    """
    power = integer(read(battery / "power_now"))
    if power is not None:
        return abs(power) / 1000
    current, voltage = integer(read(battery / "current_now")), integer(read(battery / "voltage_now"))
    return None if current is None or voltage is None else abs(current) * voltage / 1e9


class Battery:
    """The meter: all batteries together. A battery tells a new value every few seconds, and on the mains nothing."""

    name, modelled, streams, interval_s = "battery", False, False, 0.2
    sees, machines, place = ("cpu", "cuda"), "a machine on its battery", 60
    scope: Scope | None = "battery"

    def __init__(self, place: Place) -> None:
        folder = place.root / SUPPLIES
        self._batteries = [b for b in sorted(folder.glob("*")) if _carries(b) and power_mw(b) is not None]
        if not self._batteries:
            raise Unsupported("there is no battery here that tells its power", "a laptop's or a robot's does")
        if plugged := self._plugged():
            raise Unsupported(f"the battery is not being drawn from: {plugged}", "unplug the mains")
        self.total_rails = tuple(battery.name for battery in self._batteries)

    def _plugged(self) -> str:
        """What speaks against the battery alone carrying the machine; empty if nothing does."""
        mains = [supply.name for supply in self._batteries[0].parent.glob("*") if _on(supply)]
        states = [f"{b.name} is {state}" for b in self._batteries if (state := read(b / "status")) == "Charging"]
        if not states and not any(read(b / "status") == "Discharging" for b in self._batteries):
            states = [f"{b.name} is {read(b / 'status')}" for b in self._batteries]
        return ", ".join([*(f"{name} is online" for name in mains), *states])

    def read(self) -> Sample | None:
        if plugged := self._plugged():
            raise EdgebenchError(f"the mains was plugged in meanwhile: {plugged}", "leave it unplugged")
        rails = {battery.name: power_mw(battery) for battery in self._batteries}
        if any(value is None for value in rails.values()):
            return None
        return Sample(time.perf_counter_ns(), sum(rails.values()), rails)

    def close(self) -> None:
        """Nothing is held open."""


def _carries(supply: Path) -> bool:
    """Whether it is a battery that the machine runs on, and not that of its mouse."""
    return read(supply / "type") == "Battery" and read(supply / "scope") != "Device"


def _on(supply: Path) -> bool:
    return read(supply / "type") in ("Mains", "USB") and read(supply / "online") == "1"
