"""Which process it is: its number and its start. Numbers are used again, and kernel workers change their names."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True, kw_only=True)
class ProcessStat:
    """A process as /proc/PID/stat has it. `started`, `cpu`: in clock ticks, since the boot and since then."""

    pid: int
    name: str
    state: str
    started: int
    cpu: int

    @property
    def identity(self) -> tuple[int, int]:
        return self.pid, self.started


def read(pid: int, root: Path = ROOT) -> ProcessStat | None:
    """The process of that number; None if there is none, or the system does not tell."""
    try:
        text = (root / "proc" / str(pid) / "stat").read_text(errors="replace")
        name, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 1 :].split()
        used = int(fields[11]) + int(fields[12])
        return ProcessStat(pid=pid, name=name, state=fields[0], started=int(fields[19]), cpu=used)
    except (OSError, ValueError, IndexError):
        return None


def all_of(root: Path = ROOT) -> list[ProcessStat]:
    """Every process that the system shows."""
    numbers = [int(entry.name) for entry in (root / "proc").glob("[0-9]*") if entry.name.isdecimal()]
    return [found for number in numbers if (found := read(number, root))]


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
