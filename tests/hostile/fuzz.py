"""`scripts/fuzz`: the kinds of kinds.py in turn, until the time is up or so many inputs were tried; figures by kind.

What goes wrong is printed with its seed: --kind NAME --seed SEED --inputs 1 repeats it. Exit code 1 if anything did.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]
import kinds  # noqa: E402 (it is found by what stands above)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--inputs", type=int, default=10**12, help="of each kind")
    parser.add_argument("--kind", action="append", choices=kinds.KINDS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tried, wrong, seconds = Counter(), Counter(), Counter()
    ends, seed = time.monotonic() + 60 * given.minutes, given.seed
    left = list(given.kind or kinds.KINDS)
    while left and time.monotonic() < ends:
        for name in list(left):
            began = time.monotonic()
            tried[name] += (count := attempt(name, seed))[0]
            wrong[name] += count[1]
            seconds[name] += time.monotonic() - began
            if tried[name] >= given.inputs:
                left.remove(name)
        seed += 1
    for name in given.kind or kinds.KINDS:
        print(f"{name:14} {tried[name]:9,} inputs, {wrong[name]} wrong, {seconds[name]:.0f} s")
    print(f"{'all':14} {tried.total():9,} inputs, {wrong.total()} wrong, {seconds.total():.0f} s")
    sys.exit(1 if wrong.total() else 0)


def attempt(name: str, seed: int) -> tuple[int, int]:
    """How many inputs were tried, and whether something went wrong."""
    with tempfile.TemporaryDirectory(prefix="edgebench-fuzz-") as place:
        try:
            return kinds.KINDS[name](random.Random(f"{name} {seed}"), Path(place, "w")), 0
        except Exception:
            print(f"{name}, seed {seed}:\n{traceback.format_exc()[-1500:]}", flush=True)
            return 1, 1


if __name__ == "__main__":
    os.environ.setdefault("EDGEBENCH_CACHE", str(Path(tempfile.gettempdir(), "edgebench-tests-cache")))
    main()
