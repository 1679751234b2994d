"""Adopting a model file against opening it once, by turns, each in processes of its own; prints the ratio.

.venv/bin/python scripts/bench_adopt.py FILE.onnx... [--rounds 5]

Opening once is what a user would write: start Python, import ONNX Runtime, load the file, ask once. Adopting is
`edgebench adopt FILE`, from its start to its end, into an empty workspace.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OPEN = """
import sys
import numpy
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
types = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(bool)": "bool"}
sizes = {one.name: [n if isinstance(n, int) else 1 for n in one.shape] for one in session.get_inputs()}
session.run(None, {one.name: numpy.zeros(sizes[one.name], types[one.type]) for one in session.get_inputs()})
"""
EDGEBENCH = str(Path(sys.executable).with_name("edgebench"))


# As on a machine where edgebench is used: else Python compiles a hundred of its files each time it starts.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    for file in given.files:
        taken: dict[str, list[float]] = {"open": [], "adopt": []}
        for turn in range(given.rounds + 1):
            with tempfile.TemporaryDirectory(dir=file.parent, prefix=".bench-") as workspace:
                commands = {
                    "open": [sys.executable, "-c", OPEN, str(file)],
                    "adopt": [EDGEBENCH, "adopt", str(file), "--workspace", workspace],
                }
                for name in sorted(commands, reverse=bool(turn % 2)):
                    took = seconds(commands[name])
                    if turn:  # the first round fills the disk cache
                        taken[name].append(took)
        opened, adopted = (statistics.median(taken[name]) for name in ("open", "adopt"))
        told = f"opening once {opened:.2f} s, adopting {adopted:.2f} s, ratio {adopted / opened:.2f}"
        print(f"{file.name}, {file.stat().st_size / 2**20:.0f} MiB, median of {given.rounds}: {told}", flush=True)


if __name__ == "__main__":
    main()
