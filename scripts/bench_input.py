"""What a graph that takes a camera's bytes saves: from the image in memory to the answer, against numpy and floats.

.venv/bin/python scripts/bench_input.py NAME-openvino NAME-openvino-uint8 [--runtime openvino]

Both artifacts are one model, exported without and with `--input uint8`. By turns, in one process: for the first the
image is normalised and laid out in numpy, as edgebench does it on every machine, then inferred; for the second it is
handed over as it is. Prints the median of each, and of the normalising alone.
"""

import argparse
import statistics
import time
from pathlib import Path

from edgebench import artifact
from edgebench.artifact import preprocess
from edgebench.machine import registry
from edgebench.specs import SessionOptions

BURST = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("floats", type=Path)
    parser.add_argument("pixels", type=Path)
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bursts", type=int, default=30)
    given = parser.parse_args()

    floats, pixels = artifact.read(given.floats), artifact.read(given.pixels)
    if (floats.input_type, pixels.input_type) != ("float32", "uint8"):
        parser.error("give the artifact that takes floats, then the one that takes uint8")
    images = artifact.read_reference(floats).images
    name, runtime = floats.inputs[0].name, registry.load("runtimes", given.runtime)
    times = {"floats": [], "pixels": [], "normalising": []}
    options = [SessionOptions(threads=given.threads, precision=each.precision) for each in (floats, pixels)]
    with runtime.open(floats, "cpu", options[0]) as one, runtime.open(pixels, "cpu", options[1]) as other:
        for burst in range(given.bursts + 1):
            for what, session in (("floats", one), ("pixels", other)):
                for i in range(BURST):
                    image = images[i % len(images)][None]
                    began = time.perf_counter_ns()
                    ready = preprocess(image, floats.preprocessing) if what == "floats" else image
                    normalised = time.perf_counter_ns()
                    session.run({name: ready})
                    if burst:  # the first one warms up
                        times[what].append(time.perf_counter_ns() - began)
                        if what == "floats":
                            times["normalising"].append(normalised - began)
    medians = {what: statistics.median(taken) / 1e6 for what, taken in times.items()}
    print(f"{floats.path.name} on {given.runtime}, {given.threads} threads, {len(times['floats'])} images each")
    print(f"numpy, then floats: {medians['floats']:.3f} ms, of which normalising {medians['normalising']:.3f} ms")
    print(f"bytes straight in:  {medians['pixels']:.3f} ms, ratio {medians['pixels'] / medians['floats']:.3f}")


if __name__ == "__main__":
    main()
