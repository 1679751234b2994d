"""Does the machine's own speed (edgebench/machine/yardstick.py) tell why two runs of one thing differ?

.venv/bin/python scripts/bench_yardstick.py ARTIFACT --seconds 150

ARTIFACT is an ONNX one. Measures it for 0.3 s again and again with a bare ONNX Runtime session on one thread, a
yardstick before and after. Runs are --run such measurements one after another; each is held against a later one that
shares none with it. Prints how closely copy and loop follow the model from run to run, how many pairs of
runs differ by more than half a percent beyond the noise band, and of how many the yardstick does not explain it.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime

from edgebench import artifact
from edgebench.comparing import ratio
from edgebench.machine import yardstick
from edgebench.machine.yardstick import Yardstick

LAUNCH_S = 0.3
BEYOND = 0.005


def measure(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray]) -> tuple[float, list[Yardstick]]:
    """The median in ns, and the yardsticks around it."""
    before, times, end = yardstick.take(), [], time.perf_counter() + LAUNCH_S
    while time.perf_counter() < end:
        began = time.perf_counter_ns()
        session.run(None, feed)
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times), [before, yardstick.take()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--run", type=int, default=7, help="measurements in a run")
    given = parser.parse_args()

    found = artifact.read(given.artifact)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(artifact.model_file(found, ".onnx")), options, providers=["CPUExecutionProvider"]
    )
    (feed, *_) = artifact.requests(found, 1)
    measured, end = [], time.monotonic() + given.seconds
    while time.monotonic() < end:
        measured.append(measure(session, feed))

    half = given.run // 2
    runs = [measured[i : i + given.run] for i in range(0, len(measured) - given.run, half)]
    model, copy, loop = [], [], []
    for base, new in zip(runs, runs[3:], strict=False):
        model.append(statistics.median(m for m, _ in new) / statistics.median(m for m, _ in base))
        taken = ([stick for _, sticks in side for stick in sticks] for side in (base, new))
        for kept, change in zip((copy, loop), yardstick.changes(*taken), strict=True):
            kept.append(change)
    differ = [(m, *own) for m, *own in zip(model, copy, loop, strict=True) if abs(m - 1) > ratio.BAND + BEYOND]
    unexplained = [
        m for m, *own in differ if abs(m - 1) - max(0, *((o - 1) * np.sign(m - 1) for o in own)) > ratio.BAND
    ]
    told = {
        "measurements": len(measured), "pairs_of_runs": len(model), "model_deviation": np.std(model),
        "copy_correlation": np.corrcoef(model, copy)[0, 1], "loop_correlation": np.corrcoef(model, loop)[0, 1],
        "copy_per_model": np.std(copy) / np.std(model), "differ": len(differ), "unexplained": len(unexplained),
    }  # fmt: skip
    print(json.dumps({key: round(float(value), 3) for key, value in told.items()}, indent=1))


if __name__ == "__main__":
    main()
