"""The load of other programs, from a recorded /proc/stat: what counts, what does not, and who is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgebench.machine import foreign_load
from edgebench.machine.foreign_load import ForeignLoad

HZ = os.sysconf("SC_CLK_TCK")
BASE = {"user": 1000, "nice": 10, "system": 500, "idle": 90_000, "iowait": 40, "irq": 3, "softirq": 4, "steal": 5}
GUEST = " 900 0\n"  # inside user already


class Machine:
    """A /proc/stat that a test moves on by seconds of processor time, and the clock on the wall."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self._ticks = root, dict(BASE)
        self.wall = 0.0
        (root / "proc").mkdir()
        self.process(7, "compiler", 5.0)
        self.process(8, "idler", 1.0)
        self.spend()
        self.process(os.getpid(), "python", 0.0)
        monkeypatch.setattr(foreign_load.time, "monotonic", lambda: self.wall)

    def spend(self, **seconds: float) -> None:
        for key, value in seconds.items():
            self._ticks[key] += round(value * HZ)
        figures = " ".join(map(str, self._ticks.values()))
        (self.root / "proc" / "stat").write_text(f"cpu  {figures}{GUEST}cpu0 {figures}{GUEST}intr 12345 6\n")

    def process(
        self, pid: int, name: str, seconds: float, started: int = 100, parent: int = 1, command: str = "",
        ended: float = 0.0,
    ) -> None:  # fmt: skip
        """A process that has used so many seconds until now, half of them in the kernel; and its `ended` children."""
        (self.root / "proc" / str(pid)).mkdir(exist_ok=True)
        ticks, theirs = round(seconds * HZ / 2), round(ended * HZ / 2)
        used = f"{ticks} {ticks} {theirs} {theirs}"
        text = f"{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {used} 20 0 1 0 {started} 0 0\n"
        (self.root / "proc" / str(pid) / "stat").write_text(text)
        (self.root / "proc" / str(pid) / "cmdline").write_text(command.replace(" ", "\0"))

    def end(self, pid: int) -> None:
        shutil.rmtree(self.root / "proc" / str(pid))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_busy_neighbour_is_told_with_its_name(machine: Machine) -> None:
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.process(os.getpid(), "python", 4.0, ended=5.0)
    machine.spend(user=16.0, system=1.0, idle=3.0)
    machine.process(7, "compiler", 12.5)
    notice = load.notice()
    assert notice.code == "foreign_load"
    assert "80% of a core" in notice.message and "compiler (process 7)" in notice.message
    assert notice.remedy


def test_this_process_alone_is_no_foreign_load(machine: Machine) -> None:
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.process(os.getpid(), "python", 20.0)
    machine.spend(user=20.0)
    assert load.notice() is None


def test_the_systems_own_housekeeping_is_not_worth_a_word(machine: Machine) -> None:
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.spend(system=0.9)
    assert load.notice() is None
    machine.spend(system=0.2)
    assert "11% of a core" in load.notice().message


@pytest.mark.parametrize("kind", ["idle", "iowait", "steal"])
def test_time_in_which_nobody_here_computed_is_not_busy(machine: Machine, kind: str) -> None:
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.spend(**{kind: 10.0})
    assert load.notice() is None


def test_a_process_that_came_meanwhile_is_named_too(machine: Machine) -> None:
    load = ForeignLoad(machine.root)
    machine.wall = 4.0
    machine.spend(user=4.0)
    machine.process(99, "newcomer", 3.9, started=500)
    assert "newcomer (process 99)" in load.notice().message


@pytest.mark.parametrize("name", ["kworker/0:2-mm_percpu_wq", "sh (renamed) S 1", "compiler"])
def test_a_process_that_renames_itself_is_still_the_same(machine: Machine, name: str) -> None:
    """A kernel worker has the name of what it works at: its whole life is not that of a newcomer."""
    machine.process(9, "kworker/0:2-events", 600.0)
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.spend(user=8.0)
    machine.process(9, name, 600.2)
    assert "the most by" not in load.notice().message
    machine.process(7, "compiler", 12.0)
    assert "the most by compiler (process 7)" in load.notice().message


def test_a_number_that_was_used_again_is_another_process(machine: Machine) -> None:
    machine.process(9, "python", 600.0)
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.spend(user=8.0)
    machine.process(9, "python", 7.0, started=900)
    assert "the most by python (process 9)" in load.notice().message


def test_where_nobody_stands_out_nobody_is_named(machine: Machine) -> None:
    load = ForeignLoad(machine.root)
    machine.wall = 4.0
    machine.spend(user=4.0)
    assert "the most by" not in load.notice().message
    machine.end(7)
    machine.end(8)
    assert "100% of a core" in load.notice().message


@pytest.mark.parametrize("text", [None, "", "cpu\n", "nonsense"])
def test_a_system_that_does_not_tell_gives_no_notice(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "stat").write_text(text)
    assert ForeignLoad(tmp_path).notice() is None


def test_an_old_kernels_shorter_line_is_read(machine: Machine) -> None:
    stat = machine.root / "proc" / "stat"
    stat.write_text("cpu  100 0 100 900\n")
    load = ForeignLoad(machine.root)
    machine.wall = 1.0
    stat.write_text(f"cpu  {100 + HZ} 0 100 900\n")
    assert "100% of a core" in load.notice().message


def test_who_started_us_and_reads_our_meter_is_not_foreign(machine: Machine) -> None:
    """The run shows the progress and reads the power, tegrastats is its child, and the supervisor waits for it."""

    def household(seconds: float, worked: float = 0.0) -> None:
        machine.process(20, "sshd", seconds)
        machine.process(21, "python", seconds, parent=20, command="python -m edgebench.boards.supervisor /job 7")
        machine.process(22, "python", seconds, parent=21, command="python -m edgebench run")
        machine.process(23, "tegrastats", seconds, parent=22, command="tegrastats")
        worker = "python -m edgebench.measuring.worker measure"
        machine.process(os.getpid(), "python", worked, parent=22, command=worker)

    household(1.0)
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    household(2.0, worked=9.0)
    machine.spend(user=12.5)
    assert load.notice() is None, "three of them took a second each; what is left is housekeeping"
    machine.process(20, "sshd", 9.0)
    machine.spend(user=7.0)
    assert "75% of a core" in (said := load.notice().message) and "sshd (process 20)" in said


@pytest.mark.parametrize("parent", [22, os.getpid()], ids=["an-ancestor", "this-process"])
def test_what_a_child_took_earlier_hides_no_stranger_when_it_ends(machine: Machine, parent: int) -> None:
    """Its parent waits for it, and gets the time of its whole life at once."""
    machine.process(22, "python", 1.0, command="python -m edgebench run", ended=3.0)
    machine.process(os.getpid(), "python", 0.0, parent=22)
    machine.process(24, "python", 50.0, parent=parent, ended=30.0)
    machine.process(25, "python", 4.0, parent=24)
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.end(24)
    machine.end(25)
    earlier = 50.0 + 30.0 + 4.0
    machine.process(22, "python", 1.0, command="python -m edgebench run", ended=3.0 + (earlier + 2.0) * (parent == 22))
    machine.process(os.getpid(), "python", 0.0, parent=22, ended=(earlier + 2.0) * (parent != 22))
    machine.spend(user=2.0)
    assert load.notice() is None, "the two seconds are those of the child"
    machine.process(7, "compiler", 13.0)
    machine.spend(user=8.0)
    assert "80% of a core" in (said := load.notice().message) and "compiler (process 7)" in said


def test_a_child_that_nobody_waited_for_makes_no_stranger(machine: Machine) -> None:
    machine.process(24, "python", 50.0, parent=os.getpid())
    load = ForeignLoad(machine.root)
    machine.wall = 10.0
    machine.end(24)
    assert load.notice() is None
