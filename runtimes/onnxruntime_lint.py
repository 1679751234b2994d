"""Asks ONNX Runtime whether it opens a model on the CPU, and tells what is known to go wrong there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgebench.linting.onnx_nodes import Nodes
from edgebench.records.linted import LintFinding

# How it names a node, with its operator, in what it says of a failure.
NAMED = re.compile(r"node with name '(?P<a>[^']{0,500})'|Node \((?P<b>[^)]{0,500})\)|In Node, \(\"(?P<c>[^\"]*)\"")
WEIGHTS, SEVEN_BITS = 2**28, 64


class OnnxRuntimeLinter:
    """A session of ONNX Runtime on the CPU, which is opened and never run."""

    suffixes = {"onnx": ".onnx"}
    aliases = ("ort",)
    installs = {"onnxruntime": "edgebench[onnx]", "onnx": "edgebench[onnx]"}

    def __init__(self) -> None:
        import onnxruntime

        self._library = onnxruntime

    def parser(self) -> str:
        return f"ONNX Runtime {self._library.__version__} (CPU)"

    def lint(self, path: Path) -> Sequence[LintFinding]:
        from edgebench.runtimes import onnxruntime_refusals

        settings = self._library.SessionOptions()
        settings.log_severity_level = 4
        try:
            self._library.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a dozen unrelated kinds for a file that it cannot read
            reason, fix = onnxruntime_refusals.explained(str(error))
            found = NAMED.search(str(error))
            name = next(filter(None, found.groups()), "") if found else ""
            node = _node(path, name, str(error))
            return [LintFinding(kind="refused", reason=reason, fix=fix, node=name or node[0], operator=node[1])]
        return []

    @staticmethod
    def traps(path: Path) -> Sequence[LintFinding]:
        nodes = Nodes(path)
        return [*_wide_weights(nodes), *_halves(nodes)]


def _node(path: Path, name: str, said: str) -> tuple[str, str]:
    """The node that the message means: of that name, or the first of an operator that it names."""
    nodes = Nodes(path)
    found = nodes.named(name) or next((node for node in nodes.each if re.search(rf"\b{node.op_type}\b", said)), None)
    return (found.name, found.op_type) if found else ("", "")


def _wide_weights(nodes: Nodes) -> Iterator[LintFinding]:
    """Weights in all of int8, behind activations in uint8. Depthwise convolutions are summed otherwise."""
    zeros = [node.input[2] for node in nodes.of("QuantizeLinear") if len(node.input) > 2]
    if not any(nodes.types.get(zero) == "UINT8" for zero in zeros):
        return
    for node in nodes.of("DequantizeLinear"):
        weights = nodes.value(node.input[0], WEIGHTS)
        if weights is None or weights.dtype != "int8" or weights.ndim < 2 or weights.shape[1] == 1:
            continue
        if np.abs(weights.astype(np.int16)).max(initial=0) > SEVEN_BITS:
            yield LintFinding(
                kind="wrong", node=node.name, operator=node.op_type,
                fix="quantize weights to seven bits (reduce_range), as edgebench does",
                reason="weights of eight bits and activations in uint8: without VNNI, x86 CPUs overflow 16 bits",
                source="ONNX Runtime's documentation of quantization, on U8S8",
            )  # fmt: skip


def _halves(nodes: Nodes) -> Iterator[LintFinding]:
    for node in nodes.of("Conv", "MatMul", "Gemm"):
        if nodes.types.get(node.output[0]) == "FLOAT16":
            yield LintFinding(
                kind="slower", node=node.name, operator=node.op_type, fix="export it in fp32 for this runtime's CPU",
                reason="the CPU has few kernels in fp16: it casts to fp32 and back around most nodes",
                source="seen: the profile of a session (onnxruntime 1.32, x86)",
            )  # fmt: skip
            return
