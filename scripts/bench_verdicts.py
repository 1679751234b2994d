"""How often are the verdicts wrong? A thing against itself, and against itself with 5 % planted.

.venv/bin/python scripts/bench_verdicts.py ARTIFACT aa --count 200
.venv/bin/python scripts/bench_verdicts.py ARTIFACT planted-fake --count 100
.venv/bin/python scripts/bench_verdicts.py ARTIFACT planted-model --count 100
.venv/bin/python scripts/bench_verdicts.py ARTIFACT aa-compare --count 200

ARTIFACT is an ONNX one. While a thing is held against itself, a busy process comes and goes, for some seconds each
time, from a seed; --load and --no-load say otherwise. For `compare` the thing is run again and again, and each run is
compared with the one before. Prints a line a comparison and the tally at the end:
false alarms of `edgebench ab` and `edgebench compare`, or how many of the planted slowdowns `edgebench ab` found and
how long that took. With --log FILE each comparison is also appended to that file, and the tally is over all that it
holds of this kind, so that hours of them can be made one after another.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

PLUGIN = Path(__file__).parent.parent / "tests" / "plugins" / "slowed"
sys.path.insert(0, str(PLUGIN))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLUGIN), os.environ.get("PYTHONPATH")]))

from edgebench import artifact  # noqa: E402 (the plugin has to be found first)
from edgebench.comparing import ab, judging  # noqa: E402
from edgebench.machine.device import detect, place  # noqa: E402
from edgebench.measuring import alternating, launches, running  # noqa: E402
from edgebench.records.jobs import Policy  # noqa: E402

SIDES = {  # runtime, options of A, options of B
    "aa": ("onnxruntime", {}, {}),
    "planted-fake": ("fake", {"latency_ms": "2"}, {"latency_ms": "2.1"}),
    "planted-model": ("slowed", {"by": "0"}, {"by": "0.05"}),
    "aa-compare": ("onnxruntime", {}, {}),
}


def come_and_go(seed: int, pause_s: tuple[float, float], stop: threading.Event) -> None:
    """Another program that has a core for 1 to 8 seconds, then leaves it for some time in `pause_s`."""
    chance = random.Random(seed)
    while not stop.is_set():
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        stop.wait(chance.uniform(1, 8))
        busy.kill()
        busy.wait()
        stop.wait(chance.uniform(*pause_s))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("what", choices=SIDES)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--max-seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of the model, so that a core is left for the others")
    parser.add_argument("--log", type=Path, help="append to this file of JSON lines, and count what it holds already")
    parser.add_argument("--duration", type=float, default=0.5, help="seconds of measuring in a launch of `compare`")
    parser.add_argument(
        "--load", action=argparse.BooleanOptionalAction, default=None,
        help="foreign load beside it; by default where a thing is held against itself",
    )  # fmt: skip
    parser.add_argument(
        "--pause", type=float, nargs=2, default=(1.0, 8.0), metavar=("FROM", "TO"),
        help="seconds without that load, between its 1 to 8 seconds",
    )  # fmt: skip
    given = parser.parse_args()

    runtime, *options = SIDES[given.what]
    found, profile = artifact.read(given.artifact), detect()
    asked = running.RunOptions(runtimes=(runtime,), threads=given.threads, warmup_s=0.3, duration_s=given.duration)
    (planned,) = running.plan([found], profile, place(profile, require_device=True, environ={}), asked)
    stop, found, again = threading.Event(), [], RunAgain(planned, Policy(max_seconds=given.max_seconds))
    if given.log and given.log.exists():
        found = [row for row in map(json.loads, given.log.read_text().splitlines()) if row["what"] == given.what]
    load = threading.Thread(target=come_and_go, args=(given.seed, tuple(given.pause), stop))
    if given.what.startswith("aa") if given.load is None else given.load:
        load.start()
    try:
        for number in range(1, given.count + 1):
            began = time.monotonic()
            if given.what == "aa-compare":
                verdict, ratio = again()
            else:
                verdict, ratio = by_ab(planned, options, given.max_seconds)
            took_s = round(time.monotonic() - began, 1)
            row = {"what": given.what, "verdict": verdict, "ratio": ratio, "seconds": took_s}
            found.append(row)
            print(f"{number:4} {verdict:<13} {ratio} {took_s:6.1f} s", flush=True)
            if given.log:
                with given.log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    finally:
        stop.set()
        if load.ident:
            load.join()
        tell(given.what, found)


def tell(what: str, found: list[dict]) -> None:
    tally = Counter(row["verdict"] for row in found)
    print(f"{what}: {dict(tally)} of {len(found)}")
    if what.startswith("aa"):
        print(f"called faster or slower: {(tally['faster'] + tally['slower']) / max(1, len(found)):.1%}")
    else:
        print(f"called slower: {tally['slower'] / max(1, len(found)):.1%}")
    seconds = [row["seconds"] for row in found]
    print(f"seconds a comparison: median {statistics.median(seconds):.0f}, longest {max(seconds):.0f}")


def by_ab(planned: running.Planned, options: list[dict[str, str]], max_seconds: float) -> tuple[str, str]:
    sides = [
        partial(alternating.contestant, replace(planned.job, options=given), planned.artifact) for given in options
    ]
    found = ab.compare(*sides, max_seconds=max_seconds)
    if found.stop == "interrupted":
        raise KeyboardInterrupt
    return found.verdict, f"{found.ratio.ratio:.3f} ({found.ratio.low:.3f} to {found.ratio.high:.3f})"


class RunAgain:
    """The same run again and again: each is held against the one before it."""

    def __init__(self, planned: running.Planned, policy: Policy) -> None:
        self.planned, self.policy, self.base = planned, policy, None

    def __call__(self) -> tuple[str, str]:
        if self.base is None:
            self.base = self._once()
        base, self.base = self.base, self._once()
        (cell,) = judging.compare([base], [self.base]).cells
        if cell.low is None:
            return cell.outcome, f"{cell.ratio or 1:.3f} {cell.reason}"
        return cell.outcome, f"{cell.ratio:.3f} ({cell.low:.3f} to {cell.high:.3f}) {cell.reason}".rstrip()

    def _once(self):
        return launches.repeat(self.planned.job, self.planned.artifact, self.policy)


if __name__ == "__main__":
    main()
