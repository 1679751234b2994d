"""What int8 with TensorRT's zero points costs, on a CPU: the same int8 ONNX artifact under four recipes.

.venv/bin/python scripts/bench_zero_points.py ARTIFACT IMAGES.npz
.venv/bin/python scripts/bench_zero_points.py ARTIFACT IMAGES.npz --most 1000

ARTIFACT: an int8 ONNX artifact. IMAGES.npz: what `edgebench evaluate ARTIFACT --save-images IMAGES.npz` wrote. Prints
rows of a table in Markdown: the right answers in ONNX Runtime, which computes every Q and DQ as the file says; the
difference to the file as it was exported, with its 95 % interval; how many first classes are that file's; and what
NVIDIA's parser says of the file, if TensorRT-RTX is installed.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from edgebench.exporters import tensorrt_symmetric
from onnx import numpy_helper

from edgebench import artifact as folder
from edgebench.errors import Unsupported
from edgebench.machine import registry
from edgebench.measuring import testset
from edgebench.results.stats import paired_difference

BATCH = 50


def byte_zeros(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """The zero points that are bytes and 0, by name: what quantizers write after a ReLU."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer if len(tensor.dims) < 2}
    used = {
        node.input[2] for node in model.graph.node if node.op_type in tensorrt_symmetric.QDQ and len(node.input) > 2
    }
    found = {name: numpy_helper.to_array(tensors[name]) for name in used if name in tensors}
    return {name: zero for name, zero in found.items() if zero.dtype == np.uint8 and not zero.any()}


def bytes_kept(path: Path) -> onnx.ModelProto:
    """Bytes where their zero point is 0, and int8 around zero for all others: eight bits for what follows a ReLU."""
    model, symmetric = onnx.load(path), tensorrt_symmetric.read(path)
    kept, outputs = byte_zeros(model), {node.output[0]: node for node in symmetric.graph.node}
    for node in model.graph.node:
        if node.op_type in tensorrt_symmetric.QDQ and len(node.input) > 2 and node.input[2] in kept:
            other = outputs.get(node.output[0])  # none, if it became a number
            if other is not None:
                other.input[:] = node.input
    return symmetric


def as_read(model: onnx.ModelProto) -> onnx.ModelProto:
    """As TensorRT reads the file: bytes around 0 are int8 of the same scale, so what is above 127 is cut off."""
    zeros = byte_zeros(model)
    for tensor in model.graph.initializer:
        if tensor.name in zeros:
            tensor.CopyFrom(numpy_helper.from_array(zeros[tensor.name].astype(np.int8), tensor.name))
    del model.graph.value_info[:]
    return model


def answers(file: Path, pixels: np.ndarray, artifact: folder.Artifact) -> np.ndarray:
    """The class that comes first, of each picture."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = artifact.inputs[0].name
    parts = [folder.prepared(pixels[i : i + BATCH], artifact) for i in range(0, len(pixels), BATCH)]
    return np.concatenate([session.run(None, {name: part})[0].argmax(axis=1) for part in parts])


def told(file: Path) -> str:
    """What NVIDIA's parser says of the file, and our table of traps."""
    try:
        linter = registry.load("linters", "tensorrt_rtx")
    except Unsupported:
        return "not asked"
    found = [*linter.lint(file), *linter.traps(file)]
    return (
        ", ".join(f"{kind}: {sum(f.kind == kind for f in found)}" for kind in dict.fromkeys(f.kind for f in found))
        or "taken"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--most", type=int, help="only so many pictures, from the first on")
    given = parser.parse_args()
    artifact = folder.read(given.artifact)
    with testset.opened(given.images, artifact) as found:
        pixels, labels = np.concatenate(list(found.images))[: given.most], found.labels[: given.most]
    path = artifact.path / "model.onnx"
    number, quantized = len(byte_zeros(onnx.load(path))), len(tensorrt_symmetric.read(path).graph.node)
    print(f"{artifact.path.name}: {len(labels)} pictures; {number} zero points of {quantized} nodes are bytes and 0\n")
    print("| recipe | right | to the exported file (95 %) | same class | NVIDIA's parser |\n|---|---|---|---|---|")
    recipes = {
        "as exported: bytes with zero points": lambda: onnx.load(path),
        "int8 around 0: what edgebench hands over": lambda: tensorrt_symmetric.read(path),
        "bytes where the zero point is 0, else int8 around 0": lambda: bytes_kept(path),
        "the same, as TensorRT reads it": lambda: as_read(bytes_kept(path)),
    }
    first = None
    for recipe, make in recipes.items():
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, "model.onnx")
            onnx.save(make(), file)
            said, parser_says = answers(file, pixels, artifact), told(file)
        right = said == labels
        first = said if first is None else first
        before = first == labels
        low, high = paired_difference(int((right & ~before).sum()), int((before & ~right).sum()), len(labels))
        change = "" if said is first else f"{right.mean() - before.mean():+.2%} ({low:+.2%} to {high:+.2%})"
        print(
            f"| {recipe} | {right.mean():.2%} | {change} | {(said == first).mean():.2%} | {parser_says} |", flush=True
        )


if __name__ == "__main__":
    main()
