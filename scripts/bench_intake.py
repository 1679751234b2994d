"""How long does a folder of many small pictures take: the account, near copies, and opening it once it is cached?

.venv/bin/python scripts/bench_intake.py [--images 20000] [--against CHECKOUT] [--rounds 5]

Writes so many different 32 × 32 PNG files in ten class folders (scaled and turned parts of each other would be near
copies, so each is noise of its own colours), then looks at them with an empty cache in a process of its own. With
--against, opens the cached splits in turn with another checkout, which has a .venv, and prints the medians.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
LOOK = """
import json, resource, sys, time
from edgebench.training import data
from edgebench.training.data import scanning
near = sys.argv[2] == "near copies"
found = data.find(sys.argv[1])
found = type(found)(**(vars(found) | {"rules": type(found.rules)(near_copies=near)}))
began = time.perf_counter()
source = found.read().source
listed = time.perf_counter()
scan = scanning.scan(source.root, source.files, near=near)
scanned = time.perf_counter()
account = data.account(found)
done = time.perf_counter()
peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({"list": listed - began, "scan": scanned - listed, "compare and cut": done - scanned,
                  "all": done - began, "MiB": peak[0], "MiB of a worker": peak[1], "files": account.found,
                  "grouped": account.groups.pictures if getattr(account, "groups", None) else 0}))
"""
OPEN = """
import sys, time
from edgebench.training import data
began = time.perf_counter()
splits = data.load(sys.argv[1], "full", 32, 0)
print(time.perf_counter() - began)
"""


def write(folder: Path, count: int) -> None:
    random = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
    for i in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(
            folder / f"class{i % CLASSES}" / f"{i:06}.png", compress_level=1
        )


def run(program: str, checkout: Path, folder: Path, cache: Path, *more: str) -> str:
    environment = os.environ | {"EDGEBENCH_CACHE": str(cache)}
    command = [checkout / ".venv/bin/python", "-c", program, folder, *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=checkout).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--against", type=Path, help="another checkout with a .venv")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the pictures are, or are to be written")
    given = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch, "pictures")
        if not folder.exists():
            began = time.perf_counter()
            write(folder, given.images)
            print(f"wrote {given.images:,} pictures in {time.perf_counter() - began:.0f} s", flush=True)
        for what, state in itertools.product(("equal pictures alone", "near copies"), ("empty cache", "cached")):
            told = json.loads(run(LOOK, here, folder, Path(scratch, what.split()[0]), what))
            print(f"{what}, {state}: " + ", ".join(f"{name} {value:,.2f}" for name, value in told.items()), flush=True)
        if not given.against:
            return
        seconds: dict[str, list[float]] = {"here": [], "there": []}
        for turn in range(given.rounds + 1):
            for name, checkout in (("here", here), ("there", given.against.resolve())):
                took = float(run(OPEN, checkout, folder, Path(scratch, name)))
                if turn:  # the first fills the cache
                    seconds[name].append(took)
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        print(f"opening it cached, medians of {given.rounds} in turn: {medians}", file=sys.stdout)


if __name__ == "__main__":
    main()
