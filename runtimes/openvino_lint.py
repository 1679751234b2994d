"""Asks OpenVINO's frontends whether they read a model, and its CPU plug-in whether it compiles it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgebench.records.linted import LintFinding

ONNX = ".onnx"


class OpenVinoLinter:
    """OpenVINO's readers and its compiler for the CPU."""

    suffixes = {"openvino": ".xml", "onnx": ONNX, "tflite": ".tflite"}
    aliases = ("ov",)
    installs = {"openvino": "edgebench[openvino]"}

    def __init__(self) -> None:
        import openvino

        self._library = openvino

    def parser(self) -> str:
        return f"OpenVINO {self._library.__version__.partition('-')[0]} (CPU)"

    def lint(self, path: Path) -> Sequence[LintFinding]:
        core, fix = self._library.Core(), "a newer openvino"
        try:
            core.compile_model(core.read_model(str(path)), "CPU")
        except RuntimeError as error:
            node, operator = _node(path, str(error))
            why = [line.strip() for line in str(error).splitlines() if line.strip()]
            return [LintFinding(kind="refused", reason=why[-1], fix=fix, node=node, operator=operator)]
        return []

    @staticmethod
    def traps(path: Path) -> Sequence[LintFinding]:
        return list(_halves(path)) if path.suffix.lower() == ONNX else []


def _node(path: Path, said: str) -> tuple[str, str]:
    """The node that the message means, if it names an operator of the file or a node."""
    if path.suffix.lower() != ONNX:
        return "", ""
    from edgebench.linting.onnx_nodes import Nodes

    words = set(re.findall(r"[\w./:]+", said))
    each = Nodes(path).each
    operators = {word.rpartition(".")[2] for word in words}
    found = next((node for node in each if node.name and node.name in words), None)
    found = found or next((node for node in each if node.op_type in operators), None)
    return (found.name, found.op_type) if found else ("", "")


def _halves(path: Path) -> Iterator[LintFinding]:
    from edgebench.linting.onnx_nodes import Nodes

    nodes = Nodes(path)
    for node in nodes.of("Conv", "MatMul", "Gemm"):
        if nodes.types.get(node.output[0]) == "FLOAT16":
            yield LintFinding(
                kind="changed", node=node.name, operator=node.op_type,
                fix="read the precision back with `edgebench run`, which refuses another one",
                reason="on a CPU without fp16 it computes in fp32, without a word",
                source="seen: openvino 2026.4.1 on x86 with AVX2",
            )  # fmt: skip
            return
