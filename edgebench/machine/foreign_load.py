"""Measures how much processor time other programs took during a measurement."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from edgebench.machine.fingerprint import read
from edgebench.records import processes
from edgebench.records.notices import Notice, notice

THRESHOLD_CORES = 0.1  # less than this is the system's own housekeeping


class ForeignLoad:
    """Counts the processor time of all other processes, from its construction to `notice`.

    That is the machine's busy time (/proc/stat: all but idle, iowait and steal) minus the time of this process and its
    ended children. A system without /proc/stat gives no notice.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._processes = {found.identity: found.cpu for found in processes.all_of(root)}
        self._began = self._now()

    def notice(self) -> Notice | None:
        """The notice of the time taken since, None below the threshold."""
        busy, own, wall = (after - before for after, before in zip(self._now(), self._began, strict=True))
        cores = (busy - own) / wall if wall > 0 else 0.0
        if cores < THRESHOLD_CORES:
            return None
        others = [found for found in processes.all_of(self._root) if found.pid != os.getpid()]
        used = [(found.cpu - self._processes.get(found.identity, 0), found) for found in others]
        ticks, most = max(used, key=lambda each: each[0], default=(0, None))
        told = most and ticks / os.sysconf("SC_CLK_TCK") > 0.1 * (busy - own)
        who = f"; the most by {most.name} (process {most.pid})" if told else ""
        return notice("foreign_load", cores=cores, who=who)

    def _now(self) -> tuple[float, float, float]:
        jiffies = [int(n) for n in re.findall(r"\d{1,19}", (read(self._root / "proc/stat") or "").partition("\n")[0])]
        busy = sum(jiffies[:8]) - sum(jiffies[3:5]) - sum(jiffies[7:8])
        return busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4]), time.monotonic()
