"""Which process it is: its number and its start. Numbers are used again, and kernel workers change their names."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, kw_only=True)
class ProcessStat:
    """A process as /proc/PID/stat has it. `started`, `cpu`: in clock ticks, since the boot and since then.

    `ended`: those of its children that have ended.
    """

    pid: int
    name: str
    state: str
    parent: int
    started: int
    cpu: int
    ended: int

    @property
    def identity(self) -> tuple[int, int]:
        return self.pid, self.started


def read(pid: int, root: Path = ROOT) -> ProcessStat | None:
    """The process of that number; None if there is none, or the system does not tell."""
    try:
        text = (root / "proc" / str(pid) / "stat").read_text(errors="replace")
        name, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 1 :].split()
        used = int(fields[11]) + int(fields[12])
        return ProcessStat(
            pid=pid, name=name, state=fields[0], parent=int(fields[1]), started=int(fields[19]), cpu=used,
            ended=int(fields[13]) + int(fields[14]),
        )  # fmt: skip
    except (OSError, ValueError, IndexError):
        return None


def age_s(root: Path = ROOT) -> float:
    """How long this process lives, by the clock that nobody sets; 0 where the system does not tell."""
    found = read(os.getpid(), root)
    if found is None:
        return 0.0
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - found.started / os.sysconf("SC_CLK_TCK"))


def all_of(root: Path = ROOT) -> list[ProcessStat]:
    """Every process that the system shows."""
    numbers = [int(entry.name) for entry in (root / "proc").glob("[0-9]*") if entry.name.isdecimal()]
    return [found for number in numbers if (found := read(number, root))]


def family(found: Iterable[ProcessStat], root: Path = ROOT) -> set[int]:
    """The numbers of this process, of the edgebench that started it, of what started that, and of all their children:
    who shows the progress, reads a meter or waits for us."""
    by_pid = {each.pid: each for each in found}
    ours = {os.getpid()}
    each = by_pid.get(os.getpid())
    while each and (each := by_pid.get(each.parent)) and _is_edgebench(each.pid, root):
        ours.add(each.pid)
    while more := {each.pid for each in by_pid.values() if each.parent in ours and each.pid not in ours}:
        ours |= more
    return ours


def _is_edgebench(pid: int, root: Path) -> bool:
    try:
        words = (root / "proc" / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.rpartition(b"/")[2] == b"edgebench" or word.startswith(b"edgebench.") for word in words[:4])


def tag(pid: int | None = None, root: Path = ROOT) -> str:
    """PID-START of this process or of another, as part of a file's name; START is 0 where the system does not tell."""
    pid = pid or os.getpid()
    found = read(pid, root)
    return f"{pid}-{found.started if found else 0}"


def gone(tag: str, root: Path = ROOT) -> bool:
    """Whether the process with this tag has ended. False for what is no tag, and where the system does not tell."""
    pid, _, started = tag.partition("-")
    if not (pid.isdecimal() and started.isdecimal()) or read(os.getpid(), root) is None:
        return False
    found = read(int(pid), root)
    return found is None or found.started != int(started) or found.state == "Z"
