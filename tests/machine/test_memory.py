"""Peak memory by phase: of a real process that takes 200 MB and gives them back, and of kernels that do not tell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgebench.machine.memory import PeakMemory
from edgebench.records.result import MemoryPeaks

MB = 2**20

PHASES = """
import json, numpy as np
from edgebench.machine.memory import PeakMemory
peak = PeakMemory()
peak.start_phase()
before = peak.peak_bytes()
block = np.ones(200 * 2**20, np.uint8)
large = peak.peak_bytes()
del block
peak.start_phase()
after = peak.peak_bytes()
print(json.dumps([before, large, after, peak.reason]))
"""

PARENT = """
import subprocess, sys
block = bytearray(b"x") * (200 * 2**20)
print(subprocess.run([sys.executable, "-c", sys.argv[1]], capture_output=True, text=True).stdout)
"""

CHILD = """
import json
from edgebench.machine.memory import PeakMemory
peak = PeakMemory()
print(json.dumps([peak.peak_bytes(), peak.reason]))
"""


def answer(*arguments: str) -> Any:
    done = subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_each_phase_has_a_peak_of_its_own() -> None:
    before, large, after, reason = answer(PHASES)
    if before is None:
        assert reason, "no figure, and no reason why"
        return
    assert 200 * MB <= large - before < 230 * MB
    if reason:  # the kernel forbids the reset: then the figure must not pass for the phase's own
        assert "since start" in reason and after >= large
    else:
        assert after < large - 150 * MB


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_child_does_not_report_the_peak_of_its_parent() -> None:
    child, reason = answer(PARENT, CHILD)
    assert (child is None and reason) or child < 150 * MB


def test_a_kernel_without_the_reset_says_that_figures_are_since_start(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tpython\nVmPeak:\t  999 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n")
    (tmp_path / "clear_refs").mkdir()  # cannot be written to
    peak = PeakMemory(tmp_path)
    peak.start_phase()
    assert "since start" in peak.reason
    assert peak.peak_bytes() == 2048 * 1024


def test_a_kernel_without_the_mark_gives_none_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t  1024 kB\n")
    (tmp_path / "clear_refs").touch()
    peak = PeakMemory(tmp_path)
    peak.start_phase()
    assert peak.peak_bytes() is None
    assert "VmHWM" in peak.reason


def test_a_machine_without_proc_gives_none_and_says_why(tmp_path: Path) -> None:
    peak = PeakMemory(tmp_path / "none")
    peak.start_phase()
    assert peak.peak_bytes() is None
    assert "none" in peak.reason


def test_nothing_is_wrong_where_all_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmHWM:\t  1 kB\n")
    (tmp_path / "clear_refs").touch()
    peak = PeakMemory(tmp_path)
    peak.start_phase()
    assert (peak.peak_bytes(), peak.reason) == (1024, "")
    assert (tmp_path / "clear_refs").read_text() == "5"


ROLLUP = """00400000-7ffe5000 ---p 00000000 00:00 0    [rollup]
Rss:                3000 kB
Pss:                1500 kB
Pss_Dirty:           700 kB
Private_Clean:       200 kB
Private_Dirty:       800 kB
Shared_Clean:       2000 kB
"""


def test_what_the_memory_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "smaps_rollup").write_text(ROLLUP)
    peaks = MemoryPeaks(load_bytes=1, first_inference_bytes=2, steady_bytes=3, source="VmHWM")
    made = PeakMemory(tmp_path).composed(peaks)
    assert (made.uss_bytes, made.pss_bytes) == (1000 * 1024, 1500 * 1024)
    assert (made.load_bytes, made.first_inference_bytes, made.steady_bytes) == (1, 2, 3)


@pytest.mark.parametrize("text", [None, "", "[rollup]\nPrivate_Clean: 200 kB\n"])
def test_a_kernel_that_does_not_tell_the_composition_gives_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "smaps_rollup").write_text(text)
    peaks = MemoryPeaks(load_bytes=1, first_inference_bytes=2, steady_bytes=3, source="VmHWM")
    assert PeakMemory(tmp_path).composed(peaks) == peaks, "half of it is no figure"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux 4.14's smaps_rollup")
def test_the_composition_of_this_process() -> None:
    made = PeakMemory().composed(
        MemoryPeaks(load_bytes=None, first_inference_bytes=None, steady_bytes=None, source="VmHWM")
    )
    assert MB < made.uss_bytes <= made.pss_bytes
