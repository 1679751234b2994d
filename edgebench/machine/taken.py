"""How many cores others take at the moment: other programs, and the machine below a virtual one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from edgebench.machine.fingerprint import read


class TakenCores:
    """Counts, from one reading to the next, the cores that were busy for none of `processes` and not for us.

    /proc/stat's busy time and steal, minus the time in /proc/PID/stat. The kernel counts in steps of 10 ms, so the
    readings should be some 200 ms apart. None without these files.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root, self._before = root, None

    def since(self, processes: Sequence[int]) -> float | None:
        """The cores taken since the last reading of the same processes; None if there was none."""
        now, before = self._reading(processes), self._before
        self._before = now
        if now is None or before is None or now[2] != before[2]:
            return None
        busy, wall = now[0] - before[0], now[1] - before[1]
        return max(0.0, busy / wall) if wall > 0 else None

    def _reading(self, processes: Sequence[int]) -> tuple[float, float, tuple[int, ...]] | None:
        jiffies = [int(n) for n in re.findall(r"\d{1,19}", (read(self._root / "proc/stat") or "").partition("\n")[0])]
        if len(jiffies) < 8:
            return None
        busy = sum(jiffies[:8]) - sum(jiffies[3:5])
        for process in (os.getpid(), *processes):
            fields = (read(self._root / f"proc/{process}/stat") or "").rpartition(")")[2].split()
            busy -= int(fields[11]) + int(fields[12]) if len(fields) > 12 else 0
        return busy / os.sysconf("SC_CLK_TCK"), time.monotonic(), tuple(processes)
