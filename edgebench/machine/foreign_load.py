"""Measures how much processor time other programs took during a measurement."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import psutil

from edgebench.machine.fingerprint import read
from edgebench.records.notices import Notice, notice

THRESHOLD_CORES = 0.1  # less than this is the system's own housekeeping


class ForeignLoad:
    """Counts the processor time of all other processes, from its construction to `notice`.

    That is the machine's busy time (/proc/stat: all but idle, iowait and steal) minus the time of this process and its
    ended children. A system without /proc/stat gives no notice.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._processes = _cpu_seconds()
        self._began = self._now()

    def notice(self) -> Notice | None:
        """The notice of the time taken since, None below the threshold."""
        busy, own, wall = (after - before for after, before in zip(self._now(), self._began, strict=True))
        cores = (busy - own) / wall if wall > 0 else 0.0
        if cores < THRESHOLD_CORES:
            return None
        used = {key: seconds - self._processes.get(key, 0.0) for key, seconds in _cpu_seconds().items()}
        (pid, name), most = max(used.items(), key=lambda item: item[1], default=((0, ""), 0.0))
        who = f"; the most by {name} (process {pid})" if most > 0.1 * (busy - own) else ""
        return notice("foreign_load", cores=cores, who=who)

    def _now(self) -> tuple[float, float, float]:
        jiffies = [int(n) for n in re.findall(r"\d{1,19}", (read(self._root / "proc/stat") or "").partition("\n")[0])]
        busy = sum(jiffies[:8]) - sum(jiffies[3:5]) - sum(jiffies[7:8])
        return busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4]), time.monotonic()


def _cpu_seconds() -> dict[tuple[int, str], float]:
    """Processor time of each other process, by (pid, name)."""
    found, own = {}, psutil.Process().pid
    for process in psutil.process_iter(["pid", "name", "cpu_times"]):
        times = process.info["cpu_times"]
        if process.info["pid"] != own and times is not None:
            found[process.info["pid"], process.info["name"] or "?"] = times.user + times.system
    return found
