"""Start-up cost: `edgebench --help` against `python -c "import click"`, interleaved; prints the ratio of the medians.

.venv/bin/python scripts/bench_help.py [RUNS]
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = {
    "edgebench --help": [str(Path(sys.executable).with_name("edgebench")), "--help"],
    "import click": [sys.executable, "-c", "import click"],
}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    for command in COMMANDS.values():
        seconds(command)  # fills the disk cache
    rounds = [{name: seconds(command) for name, command in COMMANDS.items()} for _ in range(runs)]
    medians = {name: statistics.median(r[name] for r in rounds) for name in COMMANDS}
    for name, median in medians.items():
        print(f"{name:<17} {1000 * median:6.1f} ms  median of {runs}")
    help_s, click_s = medians.values()
    print(f"ratio             {help_s / click_s:6.2f}")


if __name__ == "__main__":
    main()
