"""What is known to go wrong with ONNX files in TensorRT and TensorRT-RTX, though their parser takes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgebench.linting.onnx_nodes import Nodes
from edgebench.records.linted import LintFinding

QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
SYMMETRIC = "export an int8 artifact of edgebench with --target trt, which moves the range to int8 around 0"
HALF = ("FLOAT16",)


def traps(path: Path) -> list[LintFinding]:
    nodes = Nodes(path)
    return [*_bytes(nodes), *_doubles(nodes), *_norms_in_pieces(nodes), *_open_sizes(nodes)]


def _bytes(nodes: Nodes) -> Iterator[LintFinding]:
    """uint8 around 0, as quantizers write it after a ReLU."""
    for node in nodes.to_uint8_around_0():
        yield LintFinding(
            kind="wrong", node=node.name, operator=node.op_type, fix=SYMMETRIC,
            reason="it quantizes to uint8, which the parser reads as int8 with the same scale: what is above half "
            "of the range is cut off",
            source="NVIDIA/TensorRT#2081; TensorRT-RTX 1.7.1's parser warns so (onnxOpImporters.cpp)",
        )  # fmt: skip


def _doubles(nodes: Nodes) -> Iterator[LintFinding]:
    for node in nodes.each:
        made = next((name for name in node.output if nodes.types.get(name) == "DOUBLE"), None)
        if made:
            yield LintFinding(
                kind="changed", node=node.name, operator=node.op_type, fix="export the model in float32",
                reason="it computes in float64, which becomes float32",
                source="seen: TensorRT-RTX 1.7.1 makes a FLOAT tensor of it without a word",
            )  # fmt: skip
            return  # what follows does the same


def _norms_in_pieces(nodes: Nodes) -> Iterator[LintFinding]:
    """A LayerNorm of before opset 17 in fp16: its squares overflow beyond 256."""
    for node in nodes.of("Pow"):
        exponent = nodes.value(node.input[1])
        squared = exponent is not None and exponent.size == 1 and exponent.item() == 2
        mean = any(other.op_type == "ReduceMean" and node.output[0] in other.input for other in nodes.each)
        if squared and mean and nodes.types.get(node.output[0]) in HALF:
            yield LintFinding(
                kind="wrong", node=node.name, operator=node.op_type,
                fix="export for opset 17 or later, where LayerNormalization is one operator; or cast around it",
                reason="a LayerNorm in pieces in fp16: the squares of activations above 255 overflow",
                source="NVIDIA/TensorRT#2564 (8.5), #3657 (8.6); microsoft/onnxruntime#13639",
            )  # fmt: skip


def _open_sizes(nodes: Nodes) -> Iterator[LintFinding]:
    for name, sizes in nodes.inputs().items():
        if any(isinstance(size, str) for size in sizes[1:]):
            yield LintFinding(
                kind="changed", node=name, operator="input",
                fix="export it with a fixed image size, or adopt it with --shape",
                reason=f"more than its batch is open ({', '.join(map(str, sizes))}): a plan takes the sizes of its "
                "profile, and edgebench builds it for those that the model was adopted with",
            )  # fmt: skip
