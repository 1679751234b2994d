"""A first look at many candidates with learned weights: runs the sieve in a process of its own, for a limited time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from edgebench.machine import locks
from edgebench.machine.children import Child
from edgebench.records import jsonio, replacing
from edgebench.records.sifted import Sieve, SieveAnswer, Sifted

POLL_S = 0.2
LATE_S = 15.0  # a sieve plans its own time; one that is so much later is ended

Sift = Callable[[Sieve, Callable[[], None]], SieveAnswer]


def sift(asked: Sieve, show: Callable[[], None] = lambda: None) -> SieveAnswer:
    """What `training.sieve` finds. `show` is called now and then. A sieve that crashes or is late has what it told."""
    began = time.monotonic()
    # Nobody measures beside it. Where another edgebench measures already, the look goes on: it tells no latency.
    with replacing.scratch() as scratch, locks.machine_shared():
        question, answer = Path(scratch, "asked.json"), Path(scratch, "answer.json")
        jsonio.write(question, asked)
        child = Child([sys.executable, "-m", "edgebench.training.sieve", str(question), str(answer)])
        try:
            while (ending := child.ended()) is None and time.monotonic() - began < asked.seconds + LATE_S:
                show()
                time.sleep(POLL_S)
        finally:
            child.stop()
        found = jsonio.read_if_good(SieveAnswer, answer) or SieveAnswer()
    why = f"its look {ending.how}: {ending.last_line}" if ending and ending.exit_code != 0 else "its look took too long"
    seen = {one.model for one in found.found}
    rest = tuple(Sifted(model=config.model, why=why) for config in asked.configs if config.model not in seen)
    return SieveAnswer(found=(*found.found, *rest), seconds=time.monotonic() - began)
