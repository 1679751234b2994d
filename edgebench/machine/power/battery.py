"""Reads the power drawn from a battery while unplugged, from Linux's sysfs."""

from __future__ import annotations

import time
from pathlib import Path

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.fingerprint import integer, read
from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample, Scope

SUPPLIES = "sys/class/power_supply"


def power_mw(battery: Path) -> float | None:
    """The power drawn now in mW: power_now (µW), else current_now (µA) × voltage_now (µV).

    The sign is dropped, since drivers differ in it. None if neither can be read.
    """
    power = integer(read(battery / "power_now"))
    if power is not None:
        return abs(power) / 1000
    current, voltage = integer(read(battery / "current_now")), integer(read(battery / "voltage_now"))
    return None if current is None or voltage is None else abs(current) * voltage / 1e9


class Battery:
    """The meter: all batteries together. A battery has a new value every few seconds, and none while on mains power."""

    name, modelled, streams, interval_s = "battery", False, False, 0.2
    sees, machines, auto_order = ("cpu", "cuda"), "a machine on its battery", 60
    scope: Scope | None = "battery"

    def __init__(self, place: Place) -> None:
        folder = place.root / SUPPLIES
        self._batteries = [b for b in sorted(folder.glob("*")) if _carries(b) and power_mw(b) is not None]
        if not self._batteries:
            raise Unsupported("there is no battery here that reports its power", "a laptop or a robot has one")
        if plugged := self._plugged():
            raise Unsupported(f"the battery is not being drawn from: {plugged}", "unplug the mains")
        self.total_rails = tuple(battery.name for battery in self._batteries)

    def _plugged(self) -> str:
        """Why the battery may not be the machine's only supply; empty if it is."""
        mains = [supply.name for supply in self._batteries[0].parent.glob("*") if _on(supply)]
        states = [f"{b.name} is {state}" for b in self._batteries if (state := read(b / "status")) == "Charging"]
        if not states and not any(read(b / "status") == "Discharging" for b in self._batteries):
            states = [f"{b.name} is {read(b / 'status')}" for b in self._batteries]
        return ", ".join([*(f"{name} is online" for name in mains), *states])

    def read(self) -> Sample | None:
        if plugged := self._plugged():
            raise EdgebenchError(f"mains power was plugged in during the measurement: {plugged}", "leave it unplugged")
        rails = {battery.name: power_mw(battery) for battery in self._batteries}
        if any(value is None for value in rails.values()):
            return None
        return Sample(time.perf_counter_ns(), sum(rails.values()), rails)

    def close(self) -> None:
        """Nothing is held open."""


def _carries(supply: Path) -> bool:
    """Whether it is a battery of the machine itself, not of its mouse."""
    return read(supply / "type") == "Battery" and read(supply / "scope") != "Device"


def _on(supply: Path) -> bool:
    return read(supply / "type") in ("Mains", "USB") and read(supply / "online") == "1"
