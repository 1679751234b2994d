"""Reads the Raspberry Pi 5's power chip through the firmware's `vcgencmd pmic_read_adc`."""

from __future__ import annotations

import re
import subprocess
import time

from edgebench.errors import Unsupported
from edgebench.machine.power.place import Place
from edgebench.records.energy import Sample, Scope

LIMIT_S = 2.0
_LINE = re.compile(
    r"^[ \t]*(\w{1,40})_([AV])[ \t]+(?:current|volt)\([0-9]+\)=(-?[0-9]{1,6}(?:\.[0-9]{1,12})?)([AV])[ \t\r]*$",
    re.ASCII | re.MULTILINE,
)


def parse(text: str) -> dict[str, float]:
    """The power of each rail in mW. Never raises. A rail without a current (the 5 V input, the clock's battery) or
    without a voltage is left out."""
    told: dict[str, dict[str, float]] = {}
    for name, kind, value, unit in _LINE.findall(text):
        if kind == unit:
            told.setdefault(name, {}).setdefault(kind, float(value))
    return {name: pair["A"] * pair["V"] * 1000 for name, pair in told.items() if len(pair) == 2}


class Pmic:
    """The meter: the rails inside the board, not the input at the plug, whose current is not measured.

    Each look starts a process: 50 per second slowed a program six-fold, so it looks five times per second.
    """

    name, modelled, streams, interval_s = "pmic", False, False, 0.2
    sees, machines, auto_order = ("cpu",), "a Raspberry Pi 5", 50
    scope: Scope | None = "rails"

    def __init__(self, place: Place) -> None:
        program = place.program("vcgencmd")
        if program is None:
            raise Unsupported("there is no vcgencmd here", "it comes with Raspberry Pi OS; put it on PATH")
        self._command = [program, "pmic_read_adc"]
        rails, said = self._ask()
        if not rails:
            raise Unsupported(
                f"vcgencmd pmic_read_adc lists no rails: {said or 'it said nothing'}",
                "only the Raspberry Pi 5 has this chip; its user must be in the group video",
            )
        self.total_rails = tuple(rails)

    def _ask(self) -> tuple[dict[str, float], str]:
        try:
            done = subprocess.run(
                self._command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return {}, f"no answer within {LIMIT_S:g} s"
        except OSError as error:
            return {}, error.strerror or str(error)
        return parse(done.stdout.decode("utf-8", "replace")), (done.stderr or done.stdout).decode("utf-8", "replace")[
            :200
        ]

    def read(self) -> Sample | None:
        began_ns = time.perf_counter_ns()
        rails, _ = self._ask()
        at_ns = (began_ns + time.perf_counter_ns()) // 2
        if any(name not in rails for name in self.total_rails):
            return None
        return Sample(at_ns, sum(rails[name] for name in self.total_rails), rails)

    def close(self) -> None:
        """Nothing to close: each look was its own process."""
