"""What the timed loop costs an inference: the fake runtime at zero latency; median and best of several rounds.

.venv/bin/python scripts/bench_loop.py [ROUNDS]
"""

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from edgebench.runtimes.fake import Fake

from edgebench import artifact as folder
from edgebench.measuring import loop
from edgebench.specs import SessionOptions

ROOT = Path(__file__).parent.parent
INFERENCES = 100_000


def main() -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from factories import make_artifact  # an artifact with random weights serves here

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as scratch:
        artifact = make_artifact(Path(scratch, "artifact"))
        images = folder.prepared(folder.read_reference(artifact).images, artifact)
        requests = [{artifact.inputs[0].name: np.ascontiguousarray(image[None])} for image in images]
        with Fake().open(artifact, "cpu", SessionOptions(extra={"latency_ms": "0"})) as session:
            made = [
                loop.one_at_a_time(
                    session.run, requests, warmup_s=0.05, duration_s=60, max_iterations=INFERENCES
                )
                for _ in range(rounds)
            ]  # fmt: skip
    for name, total_ns in (
        ("loop alone", lambda s: s.wall_ns - sum(s.latency_ns)),
        ("in the sample", lambda s: sum(s.latency_ns)),
        ("both", lambda s: s.wall_ns),
    ):
        each = [total_ns(samples) / len(samples.latency_ns) for samples in made]
        figures = f"{statistics.median(each):7.0f} ns an inference, at best {min(each):5.0f}"
        print(f"{name:<14} {figures}  median of {rounds} × {INFERENCES:,}")


if __name__ == "__main__":
    main()
