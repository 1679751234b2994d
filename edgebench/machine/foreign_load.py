"""Measures how much processor time other programs took during a measurement."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from edgebench.machine.fingerprint import read
from edgebench.records import processes
from edgebench.records.notices import Notice, notice

_TICKS = os.sysconf("SC_CLK_TCK")
THRESHOLD_CORES = 0.1  # less than this is the system's own housekeeping


class ForeignLoad:
    """Counts the processor time of all other processes, from its construction to `notice`.

    That is the machine's busy time (/proc/stat: all but idle, iowait and steal) minus the time of this process, of the
    edgebench that started it and of the children of both, ended ones too. A system without /proc/stat gives no notice.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._processes = {found.identity: found for found in processes.all_of(root)}
        self._began = self._now()

    def notice(self) -> Notice | None:
        """The notice of the time taken since, None below the threshold."""
        busy, own, wall = (after - before for after, before in zip(self._now(), self._began, strict=True))
        if wall <= 0 or (busy - own) / wall < THRESHOLD_CORES:
            return None
        running = processes.all_of(self._root)
        ours = processes.family(running, self._root) - {os.getpid()}  # this process is counted already
        own += sum(self._used(found, ended=True) for found in running if found.pid in ours) / _TICKS
        cores = (busy - own) / wall
        if cores < THRESHOLD_CORES:
            return None
        others = [found for found in running if found.pid not in ours | {os.getpid()}]
        used = [(self._used(found), found) for found in others]
        ticks, most = max(used, key=lambda each: each[0], default=(0, None))
        told = most and ticks / _TICKS > 0.1 * (busy - own)
        who = f"; the most by {most.name} (process {most.pid})" if told else ""
        return notice("foreign_load", cores=cores, who=who)

    def _used(self, found: processes.ProcessStat, ended: bool = False) -> int:
        """The ticks that a process took since the beginning; with those of its children that `ended` meanwhile."""
        before = self._processes.get(found.identity)
        took = found.cpu - (before.cpu if before else 0)
        return took + found.ended - (before.ended if before else 0) if ended else took

    def _now(self) -> tuple[float, float, float]:
        jiffies = [int(n) for n in re.findall(r"\d{1,19}", (read(self._root / "proc/stat") or "").partition("\n")[0])]
        busy = sum(jiffies[:8]) - sum(jiffies[3:5]) - sum(jiffies[7:8])
        return busy / _TICKS, sum(os.times()[:4]), time.monotonic()
