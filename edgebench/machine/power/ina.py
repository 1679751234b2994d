"""Reads a Jetson's power monitors, TI's INA3221 and INA238, from Linux's sysfs."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from edgebench.errors import Unsupported
from edgebench.machine.fingerprint import integer, read
from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample, Scope

DRIVERS = "sys/bus/i2c/drivers"
THOR_INPUT = "VIN"  # what an INA238 without a label measures: the input of Thor's carrier board

Channel = tuple[str, Callable[[], float]]
# What the drivers say, and what to do.
SAID = {
    errno.ENODATA: "the channel is switched off; write 1 to its in*_enable",
    errno.EAGAIN: "the chip has no value ready; is it in a mode of single conversions?",
    errno.EREMOTEIO: "the chip does not answer on its bus; see the kernel's log (dmesg)",
    errno.ENXIO: "the chip does not answer on its bus; see the kernel's log (dmesg)",
    errno.EIO: "the bus failed; see the kernel's log (dmesg)",
    errno.ETIMEDOUT: "the chip ends no conversion, or its bus hangs; see the kernel's log (dmesg)",
    errno.EACCES: "this user may not read it",
}


def channels(root: Path) -> list[Channel]:
    """The rails, each with a function that reads its power in mW, and raises OSError if it cannot be read.

    Rails are named by label, never by position, which differs between boards. "NC" (not connected) and labels that
    occur twice are left out. Of an INA3221's entries only the three channels are read: the others are their sums and
    shunts.
    """
    found = [*_ina3221(root), *_ina3221x(root), *_ina238(root)]
    labels = [label for label, _ in found]
    return [(label, power) for label, power in found if labels.count(label) == 1 and label != "NC"]


def _ina3221(root: Path) -> Iterator[Channel]:
    """Mainline Linux, JetPack 5 and later: voltages in mV and currents in mA, but no power."""
    for chip in sorted((root / DRIVERS / "ina3221").glob("*-*/hwmon/hwmon*")):
        for c in (1, 2, 3):
            if label := read(chip / f"in{c}_label"):
                yield label, partial(_product, chip / f"in{c}_input", chip / f"curr{c}_input")


def _ina3221x(root: Path) -> Iterator[Channel]:
    """NVIDIA's own driver, up to JetPack 4: power in mW."""
    for bus in sorted((root / DRIVERS / "ina3221x").glob("*-*")):
        chips = sorted(bus.glob("iio:device*")) or [bus / "iio_device"]
        for chip in chips:
            for c in (0, 1, 2):
                if label := read(chip / f"rail_name_{c}"):
                    yield label, partial(_scaled, chip / f"in_power{c}_input", 1)


def _ina238(root: Path) -> Iterator[Channel]:
    """Thor's carrier board: power in µW."""
    for path in sorted((root / DRIVERS / "ina238").glob("*-*/hwmon/hwmon*/power1_input")):
        yield read(path.parent / "label") or THOR_INPUT, partial(_scaled, path, 1000)


def _product(millivolts: Path, milliamperes: Path) -> float:
    return _number(millivolts) * _number(milliamperes) / 1000


def _scaled(path: Path, divisor: int) -> float:
    return _number(path) / divisor


def _number(path: Path) -> int:
    content = path.read_bytes()
    if content is None:  # so Python says EAGAIN here
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    number = integer(content.decode("utf-8", "replace").strip())
    if number is None:
        raise OSError(errno.ENODATA, "it has no number")
    return number


def _explained(error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "no reason")
    return f"{error.strerror} ({name}): {SAID.get(error.errno or 0, 'see the kernel log (dmesg)')}"


class Ina:
    """The meter. A register takes half a millisecond to read, so it is read only twenty times a second."""

    name, modelled, streams, interval_s = "ina", False, False, 0.05
    sees, machines, auto_order = ("cpu", "cuda"), "a Jetson", 10

    def __init__(self, place: Place) -> None:
        self._channels = channels(place.root)
        if not self._channels:
            raise Unsupported(
                "no INA3221 or INA238 has labelled rails in /sys/bus/i2c/drivers", "a Jetson's has; in a container, "
                "mount /sys"
            )  # fmt: skip
        self._profile, self.faults = place.profile, Counter()
        self.scope: Scope | None = place.ruled("ina")
        self.total_rails = place.profile.power.total_rails

    def read(self) -> Sample | None:
        began_ns = time.perf_counter_ns()
        rails = {}
        for label, power in self._channels:
            try:
                rails[label] = power()
            except OSError as error:
                self.faults[label, _explained(error)] += 1
        at_ns = (began_ns + time.perf_counter_ns()) // 2
        return Sample(at_ns, self._profile.total_power_mw(rails), rails) if rails else None

    def close(self) -> None:
        """Nothing is held open."""
