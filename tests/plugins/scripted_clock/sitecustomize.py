"""A clock that only sleeping moves, for the processes that measure: with the runtime `fake` every sample is known.

Python imports the module of this name, if it is on PYTHONPATH, before anything else. So the loop, its schedule and the
yardstick read this clock, and no busy machine can make a scripted inference of 5 ms take longer. Reading the clock
takes a microsecond, so that a loop which waits for a moment reaches it. Processes that measure nothing are left alone.
"""

import sys
import time


class Clock:
    def __init__(self) -> None:
        self.now_ns = time.perf_counter_ns()

    def perf_counter_ns(self) -> int:
        self.now_ns += 1_000
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


if "edgebench.measuring.worker" in sys.orig_argv:
    clock = Clock()
    time.perf_counter_ns, time.sleep = clock.perf_counter_ns, clock.sleep
