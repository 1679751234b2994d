#!/usr/bin/env python3
"""Whether `edgebench report` became slower: this checkout and another by turns, each over results of its own making.

python scripts/bench_report_turns.py OTHER [--results 10000] [--turns 7] [--keep FOLDER]

OTHER is a checkout of another commit with a .venv of its own. Each side's scripts/bench_results.py makes the same
results. Prints, for the first reading and for later ones, the seconds of CPU of both sides (medians) and the ratio this
÷ OTHER: the median over the turns, and in brackets the least and the largest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
# As on a machine where edgebench is used: else Python compiles a hundred of its files each time it starts.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
MAKE = "import sys, bench_results, pathlib; bench_results.make(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--results", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="make the results here, and use those that are here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgebench-bench-") as scratch:
        root = given.keep or Path(scratch)
        sides = {"this": HERE, "other": given.other.resolve()}
        for name, checkout in sides.items():
            if not (root / name / "results").is_dir():
                make = [python(checkout), "-c", MAKE, str(root / name / "results"), str(given.results)]
                subprocess.run(make, check=True, cwd=checkout, env=os.environ | {"PYTHONPATH": "scripts"})
        for what, before in (("first reading", forget), ("later reading", lambda folder: None)):
            seconds: dict[str, list[float]] = {name: [] for name in sides}
            for turn in range(given.turns):
                for name in sides if turn % 2 == 0 else reversed(sides):
                    seconds[name].append(report(sides[name], root / name, before))
            ratios = [mine / theirs for mine, theirs in zip(seconds["this"], seconds["other"], strict=True)]
            told = ", ".join(f"{name} {statistics.median(found):.2f} s" for name, found in seconds.items())
            print(f"{what}: {told}; {statistics.median(ratios):.2f} × ({min(ratios):.2f} to {max(ratios):.2f})")


def report(checkout: Path, workspace: Path, before: Callable[[Path], None]) -> float:
    """Seconds of CPU of a report, after `before`."""
    before(workspace / "results")
    command = [python(checkout), "-m", "edgebench", "report", "--workspace", str(workspace)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=checkout, stdout=quiet, stderr=quiet, env=ENVIRONMENT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime


def forget(results: Path) -> None:
    """Remove the cache of a folder, whatever an edgebench calls it."""
    for path in results.glob(".index*"):
        path.unlink()


def python(checkout: Path) -> str:
    return str(checkout / ".venv" / "bin" / "python")


if __name__ == "__main__":
    main()
