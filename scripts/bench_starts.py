"""Does a cache of compiled models shorten a second start? load_s and first_ms with and without, by turns.

.venv/bin/python scripts/bench_starts.py ARTIFACT... [--times 7]

Each start is a fresh process of `edgebench`'s own. By artifact: the medians without and with OpenVINO's `cache=on`, and
of ONNX Runtime's own optimised model, written once and opened with optimisation off. The file is read before, so the
system's cache has it in every case.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from edgebench import artifact

START = """
import json, sys, time
from pathlib import Path
import numpy as np
from edgebench import artifact
from edgebench.machine import registry
from edgebench.specs import SessionOptions
folder, runtime, extra = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
found = artifact.read(folder)
request = artifact.requests(found, 1)[0]
began = time.perf_counter()
options = SessionOptions(threads=1, precision=found.precision, extra=extra)
session = registry.load("runtimes", runtime).open(found, "cpu", options)
loaded = time.perf_counter()
session.run(request)
print(json.dumps([loaded - began, time.perf_counter() - loaded]))
"""
PLAIN = """
import json, sys, time
import numpy as np
shape = json.loads(sys.argv[2])
began = time.perf_counter()
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = 1, 3
if sys.argv[3] == "write":
    options.optimized_model_filepath = sys.argv[4]
if sys.argv[3] == "read":
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
loaded = time.perf_counter()
session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.float32)})
print(json.dumps([loaded - began, time.perf_counter() - loaded]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="+", type=Path)
    parser.add_argument("--times", type=int, default=7)
    given = parser.parse_args()
    print("| artifact | runtime | load s, first | load s, again | share | first ms, first | first ms, again |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDGEBENCH_CACHE"] = folder
        for path in given.artifacts:
            found = artifact.read(path)
            show(path, "openvino", *by_turns(given.times, *(
                [sys.executable, "-c", START, str(path), "openvino", json.dumps(extra)]
                for extra in ({}, {"cache": "on"})
            )))  # fmt: skip
            if found.format == "onnx":
                kept, model = Path(folder, f"{found.identity}.onnx"), str(artifact.model_file(found, ".onnx"))
                shape = json.dumps(list(artifact.requests(found, 1)[0][found.inputs[0].name].shape))
                start = [sys.executable, "-c", PLAIN]
                once([*start, model, shape, "write", str(kept)])
                show(path, "onnxruntime", *by_turns(
                    given.times, [*start, model, shape, "plain"], [*start, str(kept), shape, "read"]
                ))  # fmt: skip


def once(command: list[str]) -> list[float]:
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def by_turns(times: int, *commands: list[str]) -> list[list[list[float]]]:
    """The figures of each command; the first of all, which reads the files and fills the caches, do not count."""
    for command in commands:
        once(command)
    taken = [[once(command) for command in commands] for _ in range(times)]
    return [list(column) for column in zip(*taken, strict=True)]


def show(path: Path, runtime: str, before: list[list[float]], after: list[list[float]]) -> None:
    (load, first), (again, quick) = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in (before, after)
    )
    told = f"{load:.3f} | {again:.3f} | {again / load:.2f} | {first * 1e3:.1f} | {quick * 1e3:.1f}"
    print(f"| {path.name} | {runtime} | {told} |", flush=True)


if __name__ == "__main__":
    main()
