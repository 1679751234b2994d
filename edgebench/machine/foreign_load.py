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
    Who waits for a child that has ended gets all of its time, of which what it took before the construction is no part.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        running, self._began = processes.all_of(root), self._now()
        self._processes = {found.identity: found for found in running}
        ours = processes.family(running, root)
        self._family = [found for found in running if found.pid in ours]

    def notice(self) -> Notice | None:
        """The notice of the time taken since, None below the threshold."""
        busy, wall = (after - before for after, before in zip(self._now(), self._began, strict=True))
        running = processes.all_of(self._root)
        ours = processes.family(running, self._root)
        foreign = busy - self._own(running, ours) / _TICKS
        if wall <= 0 or (cores := foreign / wall) < THRESHOLD_CORES:
            return None
        used = [(self._used(found), found) for found in running if found.pid not in ours]
        ticks, most = max(used, key=lambda each: each[0], default=(0, None))
        told = most and ticks / _TICKS > 0.1 * foreign
        who = f"; the most by {most.name} (process {most.pid})" if told else ""
        return notice("foreign_load", cores=cores, who=who)

    def _own(self, running: list[processes.ProcessStat], ours: set[int]) -> int:
        """The ticks that our family took since the beginning, with those of its members that ended meanwhile."""
        took = ended = 0
        for found in running:
            if found.pid in ours:
                before = self._processes.get(found.identity)
                took += self._used(found)
                ended += found.ended - (before.ended if before else 0)
        alive = {found.identity for found in running}
        earlier = sum(before.cpu + before.ended for before in self._family if before.identity not in alive)
        return took + max(0, ended - earlier)  # the time of a child that nobody waited for is nowhere

    def _used(self, found: processes.ProcessStat) -> int:
        """The ticks that a process took itself since the beginning."""
        before = self._processes.get(found.identity)
        return found.cpu - (before.cpu if before else 0)

    def _now(self) -> tuple[float, float]:
        jiffies = [int(n) for n in re.findall(r"\d{1,19}", (read(self._root / "proc/stat") or "").partition("\n")[0])]
        busy = sum(jiffies[:8]) - sum(jiffies[3:5]) - sum(jiffies[7:8])
        return busy / _TICKS, time.monotonic()
