"""How often is a race wrong, and how soon does it know? By simulation, and with real processes.

.venv/bin/python scripts/bench_race.py simulate
.venv/bin/python scripts/bench_race.py copies ARTIFACT --count 100
.venv/bin/python scripts/bench_race.py planted ARTIFACT --count 100
.venv/bin/python scripts/bench_race.py against ARTIFACT... --threads 2

simulate: the rule of racing/standing.py on drawn effects. By the number of settings and by how they scatter, the share
of races of equal settings that called any two different, and the launches until one that is 3 % slower was known to be
slower than all others. copies: one ONNX artifact, ten times, on ONNX Runtime; planted: one of the ten is 3 % slower.
Both race while a busy process comes and goes. Prints a line a race, and the tally; with --log FILE each race is
appended to that file, and the tally is over all that it holds. against: the artifacts, on each runtime that opens them,
as `edgebench run` and as `edgebench run --no-race` measure them, by turns: the seconds, and of each pair of neighbours
in the order the ratio with its interval.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from bench_verdicts import come_and_go  # (it puts the runtime `slowed` on the path)

from edgebench import artifact
from edgebench.comparing import ratio
from edgebench.machine.device import detect, place
from edgebench.measuring import running
from edgebench.racing import together
from edgebench.racing.race import RaceOptions, race
from edgebench.racing.standing import FEWEST, Standing

Draw = Callable[[np.random.Generator, int, int], np.ndarray]  # (launches, settings) effects
SCATTER = 0.01  # the deviation of a setting's effect between launches, where nothing else is said
PLANTED = 1.03
LAUNCHES = 12  # that a simulated race makes at most


def _alike(rng: np.random.Generator, launches: int, settings: int) -> np.ndarray:
    return rng.normal(0, SCATTER, (launches, settings))


def _heavy(rng: np.random.Generator, launches: int, settings: int) -> np.ndarray:
    return rng.standard_t(4, (launches, settings)) * SCATTER / math.sqrt(2)


def _unlike(rng: np.random.Generator, launches: int, settings: int) -> np.ndarray:
    return rng.normal(0, SCATTER, (launches, settings)) * np.exp(rng.normal(0, 0.8, settings))


def _wild(rng: np.random.Generator, launches: int, settings: int) -> np.ndarray:
    found = _alike(rng, launches, settings)
    found[:, -1] *= 10
    return found


def _two_speeds(rng: np.random.Generator, launches: int, settings: int) -> np.ndarray:
    found = _alike(rng, launches, settings)
    found[:, -2:] += rng.integers(0, 2, (launches, 2)) * math.log(2)
    found[:, :-2] += math.log(1.5)  # their mean: all are equal in the long run
    return found


KINDS: dict[str, Draw] = {
    "all alike": _alike, "heavy tails (t4)": _heavy, "deviations of e^N(0, 0.8)": _unlike,
    "one scatters 10 times as much": _wild,
}  # fmt: skip


def simulate(races: int) -> None:
    print(f"| settings | {' | '.join(KINDS)} | 3 % known after (median, 95 %) |")
    for settings in (2, 3, 10):
        wrong = [sum(map(_wrong, _drawn(draw, settings, races))) / races for draw in KINDS.values()]
        known = [_known(seen) for seen in _drawn(_alike, settings, max(20, races // 5), math.log(PLANTED), 0.5)]
        soon = f"{statistics.median(known):g}, {sorted(known)[int(0.95 * len(known))]:g} launches"
        print(f"| {settings} | {' | '.join(f'{share:.1%}' for share in wrong)} | {soon} |", flush=True)
    rng = np.random.default_rng(0)
    called = sum(
        any(Standing(seen[:n]).decide(8, 9) in ("faster", "slower") for n in range(FEWEST, LAUNCHES + 1))
        for seen in (_two_speeds(rng, LAUNCHES, 10) for _ in range(races))
    )
    print(f"two of ten have two speeds, 1 : 2, and are equal: called different in {called / races:.1%}")


def _drawn(draw: Draw, settings: int, races: int, log: float = 0.0, scale: float = 1.0) -> list[np.ndarray]:
    rng = np.random.default_rng(settings)
    found = [draw(rng, LAUNCHES, settings) * scale for _ in range(races)]
    for seen in found:
        seen[:, 0] += log
    return found


def _wrong(seen: np.ndarray) -> bool:
    """Whether any look called any two different."""
    for n in range(FEWEST, LAUNCHES + 1):
        standing = Standing(seen[:n])
        if any(standing.decide(i, j) in ("faster", "slower") for i in standing.raced for j in range(i)):
            return True
    return False


def _known(seen: np.ndarray) -> float:
    """After how many launches the first was known to be slower than all others."""
    left = set(range(1, seen.shape[1]))
    for n in range(FEWEST, LAUNCHES + 1):
        standing = Standing(seen[:n])
        left = {j for j in left if standing.decide(0, j) != "slower"}
        if not left:
            return n
    return math.inf


def real(given: argparse.Namespace) -> None:
    found, profile = artifact.read(given.artifact[0]), detect()
    asked = running.RunOptions(runtimes=("slowed",), threads=1, duration_s=given.duration)
    (one,) = running.plan([found], profile, place(profile, require_device=True, environ={}), asked)
    share = f"{PLANTED - 1:.2f}" if given.what == "planted" else "0"
    settings = [
        replace(one, job=replace(one.job, options={"by": share if i == 0 else "0"})) for i in range(given.settings)
    ]
    rows = []
    if given.log and given.log.exists():
        rows = [row for row in map(json.loads, given.log.read_text().splitlines()) if row["what"] == given.what]
    stop = threading.Event()
    load = threading.Thread(target=come_and_go, args=(given.seed, (1.0, 8.0), stop))
    load.start()
    try:
        for number in range(given.count):
            began = time.monotonic()
            most_s = given.max_seconds
            options = RaceOptions(max_seconds=most_s, patience_s=5 * most_s, seed=given.seed + number)
            results, ended = race(settings, options)
            if ended == "interrupted":
                raise KeyboardInterrupt
            effects = np.array([result.race.effects for result in results], dtype=float).T
            standing = Standing(effects)
            pairs = [(i, j, _first(effects, i, j)) for i in standing.raced for j in range(i)]
            planted = given.what == "planted"
            false = [pair for pair in pairs if pair[2] in ("faster", "slower") and not (planted and pair[1] == 0)]
            caught = [pair for pair in pairs if planted and pair[1] == 0 and pair[2] == "faster"]
            row = {
                "what": given.what, "wrong": len(false), "caught": len(caught),
                "undecided": sum(pair[2] == "undecided" for pair in pairs), "launches": len(effects), "stop": ended,
                "seconds": round(time.monotonic() - began, 1), "deviation": math.sqrt(standing.scatter / 2),
            }  # fmt: skip
            rows.append(row)
            print(row, flush=True)
            if given.log:
                with given.log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    finally:
        stop.set()
        load.join()
        if rows:
            wrong = sum(row["wrong"] > 0 for row in rows)
            caught = sum(row["caught"] == given.settings - 1 for row in rows)
            seconds = statistics.median(row["seconds"] for row in rows)
            print(f"{given.what}: {len(rows)} races, {wrong} with a false faster or slower; median {seconds:.0f} s")
            if given.what == "planted":
                print(f"known to be slower than all others: {caught} of {len(rows)}")


def against(given: argparse.Namespace) -> None:
    profile = detect()
    placement = place(profile, require_device=True, environ={})
    for turn in range(given.count):
        turns = (True, False) if turn % 2 == 0 else (False, True)
        for racing in turns if given.side == "both" else (given.side == "race",):
            asked = running.RunOptions(threads=given.threads, race=racing)
            planned = running.plan([artifact.read(path) for path in given.artifact], profile, placement, asked)
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                found = [one for one, _ in together.run(planned, Path(folder), asked) if one.status == "ok"]
            print(f"{'race' if racing else 'one by one'}: {time.monotonic() - began:.0f} s, {len(found)} settings")
            found.sort(key=lambda one: one.race.median_ns if one.race else one.summary.median_ns)
            widths, settled = [], 0
            for base, new in pairwise(found):
                if racing:
                    lag = new.race.next
                    known, standing = ratio.Ratio(lag.ratio, lag.low, lag.high), lag.standing
                else:
                    sides = [[launch.samples.latency_ns for launch in one.launches] for one in (base, new)]
                    known = ratio.of_launches(*sides)
                    tie = known.verdict() == "equivalent"
                    standing = "tie" if tie else "slower" if known.low > 1 else "undecided"
                widths.append((known.high - known.low) / 2 / known.ratio)
                settled += standing != "undecided"
                print(
                    f"  {new.artifact.model.name} on {new.job.runtime} ({new.summary.median_ns / 1e6:.2f} ms, "
                    f"{len(new.launches)} launches): {known.ratio:.3f} ({known.low:.3f} to {known.high:.3f}) "
                    f"{base.artifact.model.name} on {base.job.runtime}: {standing}"
                )
            print(
                f"  settled {settled} of {len(widths)}; half widths: median {statistics.median(widths):.1%}", flush=True
            )


def _first(effects: np.ndarray, new: int, base: int) -> str:
    """What the first look that decided this pair said."""
    looks = (Standing(effects[:n]).decide(new, base) for n in range(FEWEST, len(effects) + 1))
    return next((found for found in looks if found != "undecided"), "undecided")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["simulate", "copies", "planted", "against"])
    parser.add_argument("artifact", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=100, help="races")
    parser.add_argument("--settings", type=int, default=10)
    parser.add_argument("--max-seconds", type=float, default=60.0)
    parser.add_argument("--duration", type=float, default=2.0, help="seconds of bursts in a launch, at least")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--side", choices=["both", "race", "alone"], default="both", help="of `against`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="append to this file of JSON lines, and count what it holds already")
    given = parser.parse_args()
    if given.what == "simulate":
        simulate(given.count)
    elif not given.artifact:
        parser.error("name an artifact")
    elif given.what == "against":
        against(given)
    else:
        real(given)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    main()
