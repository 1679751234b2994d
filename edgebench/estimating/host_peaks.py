"""Measures the peaks of this machine's processor in a short benchmark: FLOP/s, and bytes per second from memory.

python -m edgebench.estimating.host_peaks SECONDS OUT.json    in a separate process, whose BLAS has one thread
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile, EdgebenchError
from edgebench.machine.children import Child, end_with_parent
from edgebench.machine.device import available_cores
from edgebench.machine.fingerprint import ROOT, read
from edgebench.records import jsonio, replacing

SIDE = 512  # of the matrices: a product takes far longer than the call, but is short enough to run undisturbed
COPIED_BYTES = 2**27  # read and written; far larger than any cache
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class HostPeaks:
    """The best of many repetitions. `fp32_gflops` is one core's figure times `cores`, somewhat more than all cores
    reach at once, so that a floor computed from it is still a floor. cache_bytes: the largest cache, 0 if unknown."""

    fp32_gflops: float
    bandwidth_gb_s: float
    cores: int
    cache_bytes: int


def measure(seconds: float = 1.0) -> HostPeaks:
    """Time numpy's fp32 matrix product (2·n³ FLOPs) and its copy (each byte read and written) for `seconds` each.

    numpy stays below the data sheet's peak: a library that is faster shows as a ratio below 1.
    """
    with replacing.scratch() as scratch:
        out = Path(scratch, "peaks.json")
        command = [sys.executable, "-m", "edgebench.estimating.host_peaks", str(seconds), str(out)]
        limit_s = 60 + 10 * seconds
        ending = Child(command, environment=ONE_THREAD).wait(time_limit_s=limit_s)
        if ending.cause == "timeout":
            raise EdgebenchError(f"the benchmark of this machine took more than {limit_s:g} s", "--no-here")
        try:
            return jsonio.read(HostPeaks, out)
        except BadFile:
            raise EdgebenchError(f"the benchmark of this machine failed: {ending.last_line}", "--no-here") from None


def measure_here(seconds: float, root: Path = ROOT) -> HostPeaks:
    """The same in this process, whose BLAS must have one thread."""
    cores = available_cores(root)
    a = np.random.default_rng(0).random((SIDE, SIDE), dtype=np.float32)
    out = np.empty_like(a)
    product_ns = _best_ns(lambda: np.matmul(a, a, out=out), seconds)
    source = np.ones(COPIED_BYTES // 8)
    target = np.empty_like(source)
    parts = list(zip(np.array_split(source, cores), np.array_split(target, cores), strict=True))
    with ThreadPoolExecutor(cores) as pool:
        copy_ns = _best_ns(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)), seconds)
    return HostPeaks(cores * 2 * SIDE**3 / product_ns, 2 * COPIED_BYTES / copy_ns, cores, _largest_cache(root))


def _best_ns(work: Callable[[], object], seconds: float) -> int:
    work()  # touches the pages and starts the threads
    best, end = 0, time.perf_counter_ns() + int(seconds * 1e9)
    while not best or time.perf_counter_ns() < end:
        began = time.perf_counter_ns()
        work()
        took = time.perf_counter_ns() - began
        best = min(best or took, took)
    return best


def _largest_cache(root: Path) -> int:
    sizes = [read(path) or "" for path in (root / "sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size[:-1]) * 1024 for size in sizes if size.endswith("K") and size[:-1].isdecimal()), default=0)


if __name__ == "__main__":
    end_with_parent()
    jsonio.write(Path(sys.argv[2]), measure_here(float(sys.argv[1])))
