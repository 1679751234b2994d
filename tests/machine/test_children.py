"""Child processes: every way to end has its word, and none outlives us."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import clean_environment

from edgebench.machine.children import LIFELINE, PHASES, Child

FIRST = "from edgebench.machine import children\nchildren.end_with_parent()\n"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("code", "cause", "exit_code", "name", "how"),
    [
        ("", "exit", 0, "", "ended with exit code 0"),
        ("raise SystemExit(3)", "exit", 3, "", "ended with exit code 3"),
        ("import os; os.abort()", "signal", None, "SIGABRT", "was killed by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), 40)", "signal", None, None, None),
    ],
)
def test_an_end_of_its_own(code: str, cause: str, exit_code: int | None, name: str | None, how: str | None) -> None:
    ending = Child(python(code)).wait()
    assert (ending.cause, ending.exit_code) == (cause, exit_code)
    if name is not None:
        assert (ending.signal, ending.how) == (name, how)
    else:
        assert ending.signal and ending.signal in ending.how, "one of the real-time signals, with a name or a number"


def test_what_it_printed_is_in_the_ending_and_in_the_log_that_was_named(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); raise SystemExit(1)"
    ending = Child(python(code), log=tmp_path / "log.txt").wait()
    assert ending.log == "out\nerr\n" == (tmp_path / "log.txt").read_text() and ending.last_line == "err"
    assert Child(python("print('x' * 9000)")).wait().log.strip() == "x" * 3999
    assert Child(python("")).wait().last_line == "it said nothing"


def test_the_limit_of_time_ends_it() -> None:
    ending = Child(python("import time; time.sleep(600)")).wait(time_limit_s=0.2)
    assert (ending.cause, ending.exit_code, ending.how) == ("timeout", None, "did not end in time")


def test_the_limit_of_memory_ends_it() -> None:
    code = "import time\nheld = bytearray(b'x') * (200 << 20)\ntime.sleep(600)"
    ending = Child(python(code)).wait(time_limit_s=60, memory_limit_mib=100)
    assert ending.cause == "out_of_memory" and ending.peak_rss_mib > 100


def test_it_tells_its_phases_and_hands_nothing_of_ours_to_its_own_children(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    code = FIRST + (
        "import os, time\ntell = children.teller()\ntell('reading 3 of 4')\ntell('measuring')\n"
        f"while not os.path.exists({str(heard)!r}): time.sleep(0.05)\n"
        f"raise SystemExit(int({LIFELINE!r} in os.environ or {PHASES!r} in os.environ))"
    )
    phases: list[str] = []

    def on_phase(phase: str) -> None:
        phases.append(phase)
        if phase == "measuring":
            heard.touch()

    ending = Child(python(code)).wait(on_phase=on_phase)
    assert (ending.exit_code, ending.log, phases) == (0, "", ["reading 3 of 4", "measuring"])


@pytest.mark.parametrize("slow", [False, True])
def test_a_limit_for_each_phase_begins_anew_with_each(slow: bool, tmp_path: Path) -> None:
    heard, now, waited = tmp_path / "heard", [0.0], []
    code = FIRST + (
        "import os, time\ntell = children.teller()\nfor i in range(3):\n    tell(f'phase {i}')\n"
        f"    while not os.path.exists({str(heard)!r} + str(i)): time.sleep(0.02)\n"
    )

    def on_phase(phase: str) -> None:
        now[0] += 8
        if not (slow and phase.endswith("2")):
            Path(f"{heard}{phase[-1]}").touch()

    def on_wait(seconds: float) -> None:
        waited.append(seconds)
        now[0] += 3 * (len(waited) > 1 and slow and not Path(f"{heard}2").exists() and Path(f"{heard}1").exists())

    limits = {"phase_limit_s": 10.0, "clock": lambda: now[0]}
    ending = Child(python(code)).wait(on_phase=on_phase, on_wait=on_wait, **limits)
    assert (ending.cause, max(waited) > 10) == (("timeout", True) if slow else ("exit", False)) and now[0] >= 24


def test_without_a_parent_that_listens_it_says_and_fears_nothing() -> None:
    code = FIRST + "children.teller()('loading')"
    subprocess.run(python(code), env=clean_environment(), check=True, timeout=60)


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))"
    )
    assert Child(python(code)).wait().exit_code == 0
    assert gone(int((tmp_path / "pid").read_text()))


def test_it_is_asked_for_its_end_and_stopped_twice() -> None:
    child = Child(python("import time; time.sleep(600)"))
    assert child.ended() is None
    child.stop()
    child.stop()
    assert child.ended().signal == "SIGKILL"


def test_a_program_that_is_not_there_leaves_no_descriptor_open() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    with pytest.raises(FileNotFoundError):
        Child(["/no/such/program"])
    assert count() == before


@pytest.mark.parametrize(("stoppable", "stopped"), [(False, False), (False, True), (True, True)])
def test_kill_minus_nine_of_the_parent_ends_it(stoppable: bool, stopped: bool, tmp_path: Path) -> None:
    """A stopped one too, which could not read its lifeline: the kernel ends it."""
    inner = FIRST + f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    code = (
        "import signal, sys, time\nfrom edgebench.machine.children import Child\n"
        f"child = Child([sys.executable, '-c', {inner!r}], stoppable={stoppable})\n"
        f"while not __import__('os').path.exists({str(tmp_path / 'pid')!r}): time.sleep(0.05)\n"
        f"child.signal(signal.SIGSTOP) if {stopped} else None\nprint('ready', flush=True)\ntime.sleep(600)"
    )
    environment = clean_environment()
    with subprocess.Popen(python(code), stdout=subprocess.PIPE, env=environment, start_new_session=True) as parent:
        assert parent.stdout.readline() == b"ready\n"
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(int((tmp_path / "pid").read_text() or 0))


def gone(pid: int) -> bool:
    """Whether the process has ended, or does so within some seconds. (A zombie has ended.)"""
    for _ in range(300):
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.1)
                continue
        return True
    return False
