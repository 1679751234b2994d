"""Measures the peak resident memory of this process in each phase, by the kernel's high-water mark."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from edgebench.records.result import MemoryPeaks

PROC_SELF = Path("/proc/self")


class PeakMemory:
    """Reads VmHWM and resets it between phases by writing 5 to clear_refs (Linux ≥ 4.0; see proc(5)).

    Not `ru_maxrss`: it survives fork and exec, so that a worker would report the peak of its parent.
    """

    source = "VmHWM"

    def __init__(self, proc: Path = PROC_SELF) -> None:
        self._proc = proc
        self.reason = ""

    def start_phase(self) -> None:
        """Forget the peak so far. If the kernel forbids it, the figures are peaks since the process started."""
        try:
            (self._proc / "clear_refs").write_text("5")
        except OSError as error:
            self.reason = f"the peak could not be reset between phases ({error.strerror}): figures are since start"

    def composed(self, peaks: MemoryPeaks) -> MemoryPeaks:
        """`peaks` with the present unique and proportional sizes, if the kernel has smaps_rollup (Linux 4.14+)."""
        try:
            text = (self._proc / "smaps_rollup").read_text()
        except OSError:
            return peaks
        kib = {key: int(n) for key, n in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
        private = [kib[key] for key in ("Private_Clean", "Private_Dirty") if key in kib]
        return replace(
            peaks,
            uss_bytes=sum(private) * 1024 if len(private) == 2 else None,
            pss_bytes=kib["Pss"] * 1024 if "Pss" in kib else None,
        )

    def peak_bytes(self) -> int | None:
        """The highest resident memory in this phase, in bytes; None, with `reason` set, if it cannot be read."""
        try:
            for line in (self._proc / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
            self.reason = "this kernel reports no VmHWM"
        except OSError as error:
            self.reason = f"{self._proc / 'status'}: {error.strerror}"
        return None
