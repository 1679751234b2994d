"""Reads RAPL, the energy counters of Intel's and AMD's processors, from Linux's sysfs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.fingerprint import cpu_part, integer, read
from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample, Scope

ZONES = "sys/class/powercap"
COUNTER, RANGE = "energy_uj", "max_energy_range_uj"
MOST_W = 2000.0  # no package draws so much; a counter that shows it wrapped more than once, or was reset


@dataclass(frozen=True)
class Zone:
    """The counter of a package, or of a part of one."""

    name: str
    path: Path
    range_uj: int

    @property
    def is_package(self) -> bool:
        return self.name.startswith("package")


def zones(root: Path) -> list[Zone]:
    """The counters of this machine. Not psys, which covers more than the packages, and not intel-rapl-mmio, which
    repeats the others. A counter inside a package (core, uncore) or beside it (dram) is named PACKAGE/PART."""
    found = []
    for path in sorted((root / ZONES).glob("intel-rapl:[0-9]*")):
        own, parent = read(path / "name"), ""
        if path.name.count(":") > 1:
            parent = read(path.with_name(path.name.rpartition(":")[0]) / "name") or ""
        if own and own != "psys" and parent != "psys":
            found.append(Zone(f"{parent}/{own}" if parent else own, path, integer(read(path / RANGE)) or 0))
    return found


def drawn_uj(before: int, after: int, range_uj: int, seconds: float) -> int | None:
    """The advance in µJ of a counter that restarts at `range_uj`, within `seconds`; None if it cannot be known.

    One wrap is corrected, if even MOST_W could not have caused two in that time. An advance that needs more than MOST_W
    means that the counter was reset.
    """
    most_uj = MOST_W * seconds * 1e6
    advance = after - before
    if advance < 0:
        if range_uj <= 0 or most_uj >= range_uj:
            return None
        advance %= range_uj
    return advance if advance <= most_uj else None


class Rapl:
    """The meter: all packages of the machine together."""

    name, modelled, streams, interval_s = "rapl", False, False, 0.05
    sees, machines, auto_order = ("cpu",), "an Intel or AMD processor", 40
    scope: Scope | None = "package"

    def __init__(self, place: Place) -> None:
        self._zones = zones(place.root)
        packages = [zone for zone in self._zones if zone.is_package and "/" not in zone.name]
        if not packages:
            arm = cpu_part(place.root) is not None
            raise Unsupported(
                "this machine shows no RAPL counters in /sys/class/powercap",
                "only Intel's and AMD's processors have them; an Arm board has its own sensors, or a meter at its plug"
                if arm
                else "a virtual machine or a container has none; load the kernel module intel_rapl_msr on bare metal",
            )
        if any(integer(read(zone.path / COUNTER)) is None for zone in packages):
            raise Unsupported(
                "only root may read RAPL's counters here (CVE-2020-8694)",
                f"sudo chmod a+r /sys/class/powercap/intel-rapl:*/{COUNTER}, if all users here may read them",
            )
        self.total_rails = tuple(zone.name for zone in packages)
        self._last: tuple[float, dict[str, int]] | None = None
        self._total_uj = 0

    def read(self) -> Sample | None:
        began_ns = time.perf_counter_ns()
        told = {zone.name: integer(read(zone.path / COUNTER)) for zone in self._zones}
        at_ns = (began_ns + time.perf_counter_ns()) // 2
        return self._account(at_ns, {name: uj for name, uj in told.items() if uj is not None})

    def _account(self, at_ns: int, counters: dict[str, int]) -> Sample | None:
        if any(name not in counters for name in self.total_rails):
            return None  # the next look includes this advance
        last, self._last = self._last, (at_ns, counters)
        if last is None:
            return Sample(at_ns, None, {}, 0)
        seconds = (at_ns - last[0]) / 1e9
        drawn = {}
        for zone in self._zones:
            if zone.name in counters and zone.name in last[1]:
                uj = drawn_uj(last[1][zone.name], counters[zone.name], zone.range_uj, seconds)
                if uj is not None:
                    drawn[zone.name] = uj
        if any(name not in drawn for name in self.total_rails):
            raise EdgebenchError(
                f"RAPL's counter wrapped more than once or was reset within {seconds:.1f} s",
                "measure again on a less busy machine, which can read it often enough",
            )
        total_uj = sum(drawn[name] for name in self.total_rails)
        self._total_uj += total_uj
        rails = {name: uj / seconds / 1000 for name, uj in drawn.items()}
        return Sample(at_ns, total_uj / seconds / 1000, rails, self._total_uj)

    def close(self) -> None:
        """Nothing is held open."""
