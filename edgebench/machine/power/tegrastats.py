"""Parses the lines of NVIDIA's tegrastats, and reads them from the running program as a meter."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample, Scope

INTERVAL_MS = 100  # tegrastats reads every rail over I²C: a shorter interval would itself draw power
WAIT_S = 1.0
LONGEST_LINE = 65_536
SENTINEL_C = -100.0  # it prints -256C for a sensor without a reading

# At most nine digits: a longer number is not a reading, and Python needs long to convert a million digits.
_NAME, _INT = r"[A-Za-z_][\w.+-]*", r"-?[0-9]{1,9}"
# NAME 4940/4940, NAME 4940mW/4940mW, NAME 4385mW/3787mW/4385mW, NAME 1234mW. A bare NAME 150 is a clock. The first
# value is the present one; the others are averages since the program's start, and of some window.
_RAIL = re.compile(rf"(?<!\S)({_NAME})\s+({_INT})(?:mW|(?=/{_INT}(?:mW|/{_INT})?(?!\S)))(?:/\S*)?(?!\S)", re.ASCII)
_TEMPERATURE = re.compile(rf"(?<!\S)({_NAME})@(-?[0-9]{{1,6}}(?:\.[0-9]{{1,9}})?)C(?:/\S*)?(?!\S)", re.ASCII)
_GPU = re.compile(r"(?<!\S)GR3D(?:_FREQ)?\s+([0-9]{1,3})%", re.ASCII)
_MEMORY = {name: re.compile(rf"(?<!\S){name}\s+([0-9]{{1,9}})/[0-9]{{1,9}}MB", re.ASCII) for name in ("RAM", "SWAP")}
_NO_RAILS = {"NC", "RAM", "SWAP", "IRAM", "lfb"}  # NC: not connected


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The figures of one line. An unknown one is absent, never 0: an empty dictionary, a missing key or None.

    `rails_mw`: the present power of each rail, which may be negative. `temperatures_c` leaves out sensors without a
    reading.
    """

    rails_mw: dict[str, int] = field(default_factory=dict)
    gpu_load_percent: int | None = None
    ram_used_mb: int | None = None
    swap_used_mb: int | None = None
    temperatures_c: dict[str, float] = field(default_factory=dict)


def parse(line: str) -> Reading:
    """Read a line of any JetPack, from the TX1's to R39's. Never raises: unreadable parts are left out."""
    rails, temperatures = {}, {}
    for name, value in _RAIL.findall(line):
        if name not in _NO_RAILS:
            rails.setdefault(name, int(value))
    for name, value in _TEMPERATURE.findall(line):
        if float(value) > SENTINEL_C:
            temperatures.setdefault(name, float(value))
    gpu, ram, swap = (int(found[1]) if (found := p.search(line)) else None for p in (_GPU, *_MEMORY.values()))
    return Reading(
        rails_mw=rails, gpu_load_percent=gpu, ram_used_mb=ram, swap_used_mb=swap, temperatures_c=temperatures
    )


class Tegrastats:
    """The meter: one tegrastats per power pass, in its own process group, with ten lines per second."""

    name, modelled, streams, interval_s = "tegrastats", False, True, 0.0
    sees, machines, auto_order = ("cpu", "cuda"), "a Jetson", 20

    def __init__(self, place: Place) -> None:
        program = place.program("tegrastats")
        if program is None:
            raise Unsupported("there is no tegrastats here", "it comes with NVIDIA's Jetson Linux; put it on PATH")
        self._profile = place.profile
        self.scope: Scope | None = place.ruled("tegrastats")
        self.total_rails = place.profile.power.total_rails
        self._text, self._said = b"", ""
        try:
            # If edgebench is killed, the next line breaks the pipe, which ends tegrastats.
            self._process = subprocess.Popen(
                [program, "--interval", str(INTERVAL_MS)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Unsupported(f"{program} does not start: {error.strerror}", "run it by hand to see why") from None

    def read(self) -> Sample | None:
        deadline = time.monotonic() + WAIT_S
        while b"\n" not in self._text:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            chunk = os.read(self._process.stdout.fileno(), LONGEST_LINE)
            if not chunk:
                last = f"; its last words: {self._said}" if self._said else ""
                raise EdgebenchError(f"tegrastats ended by itself{last}", "run it by hand to see why")
            self._text = (self._text + chunk)[-LONGEST_LINE:]
        at_ns = time.perf_counter_ns()
        line, _, self._text = self._text.partition(b"\n")
        text = line.decode("utf-8", "replace")
        rails = parse(text).rails_mw
        if not rails:
            self._said = text.strip()[:200]
        return Sample(at_ns, self._profile.total_power_mw(rails), dict(rails))

    def close(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
