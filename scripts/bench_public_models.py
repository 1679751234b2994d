"""Adopts models that nobody here made, measures each on every runtime that opens it, and prints a Markdown table.

.venv/bin/python scripts/bench_public_models.py FOLDER|FILE... [--duration 0.5] [--workspace FOLDER]

FOLDER is what scripts/fetch_public_models.py filled. Of each model: the inputs, with the sizes that edgebench chose for
open dimensions, the seconds that adopting took, and by runtime the median time of a request and how far the answers are
from the reference's (the largest relative error of any output, or the smallest share that is equal); or the reason why
not. A file NAME_output_0.pb beside NAME.onnx has the answer that its makers expect to `arange(n) / n`, as onnx's own
tests ask: then this is the request, and the table has how far the reference's answer is from theirs.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import edgebench
from edgebench.artifact import read_examples
from edgebench.errors import EdgebenchError
from edgebench.records.result import Result
from edgebench.specs import Artifact

# Models that take no request of the sizes that edgebench chooses: a graph of 16 atoms, 32 bonds and two molecules.
GRAPH = {"feat": (16, 85), "edge_feat": (32, 13), "graph_slots": (2,)}
SHAPES = {"minimol_v1": GRAPH}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--duration", type=float, default=0.5)
    parser.add_argument("--workspace", type=Path)
    given = parser.parse_args()
    files = [file for path in given.paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    print("| model | inputs | adopted in | measured |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="edgebench-") as scratch:
        workspace = given.workspace or Path(scratch)
        for file in files:
            if file.suffix in (".onnx", ".tflite"):
                print(f"| {file.parent.name}/{file.name} | {row(file, workspace, given.duration)} |", flush=True)


def row(file: Path, workspace: Path, duration_s: float) -> str:
    expected = file.with_name(f"{file.stem}_output_0.pb")
    try:
        began = time.perf_counter()
        made = edgebench.adopt(file, shapes=SHAPES.get(file.stem), workspace=workspace)
        seconds = f"{time.perf_counter() - began:.1f} s"
        if expected.is_file():
            made = edgebench.adopt(file, inputs=ramp(made, workspace / "ramp.npz"), workspace=workspace)
            seconds += f"; {digits(distance(made, expected))} from the answer that its makers expect"
    except EdgebenchError as error:
        return f"– | refused | {told(error.message.replace(str(file), file.name))}; fix: {told(error.fix)}"
    results = edgebench.run(
        made, workspace=workspace, launches=1, precision_target=0, warmup_s=0.1, duration_s=duration_s
    )
    inputs = "; ".join(f"{spec.name} {'×'.join(map(str, spec.sizes)) or 'a scalar'}" for spec in made.inputs)
    quantized = f", {made.precision}, quantized: {made.adopted.quantized}" if made.adopted.quantized else ""
    return f"{inputs}{quantized} | {seconds} | {'; '.join(map(measured, results))}"


def ramp(made: Artifact, path: Path) -> Path:
    arrays = {spec.name: np.arange(np.prod(spec.sizes)).reshape(spec.sizes) for spec in made.inputs}
    np.savez(path, **{name: (array / array.size).astype(np.float32) for name, array in arrays.items()})
    return path


def distance(made: Artifact, expected: Path) -> float:
    """The largest difference of the reference's answer from the expected one, in parts of the largest value."""
    import onnx

    known = onnx.numpy_helper.to_array(onnx.load_tensor(expected))
    (answer,) = read_examples(made).answers[0].values()
    return float(np.abs(answer.reshape(known.shape) - known).max() / np.abs(known).max())


def measured(result: Result) -> str:
    if result.status != "ok":
        reason = result.message.rpartition("does not read this model: ")[2].lstrip("- ")
        return f"{result.job.runtime} {result.status}: {told(reason)}"
    outputs = result.parity.outputs
    errors = [output.relative_error for output in outputs if output.relative_error is not None]
    shares = [output.equal for output in outputs if output.equal is not None]
    parity = [f"error {digits(max(errors))}"] if errors else []
    parity += [f"{min(shares):.0%} equal"] if shares else []
    parity += ["**not near**"] * ("answers_differ" in [notice.code for notice in result.notices])
    taken = result.summary.median_ns or result.summary.mean_ns
    return f"{result.job.runtime} {taken / 1e6:.3g} ms, {', '.join(parity) or 'no output is compared'}"


def digits(error: float) -> str:
    return f"{error:.1e}" if error else "0"


def told(message: str) -> str:
    return " ".join(message.splitlines()[0].replace("|", "/").split())


if __name__ == "__main__":
    main()
