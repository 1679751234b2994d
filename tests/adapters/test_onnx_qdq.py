"""What is done to a quantized ONNX file so that ONNX Runtime computes its convolutions in integers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from edgebench.exporters import onnx_qdq, tensorrt_symmetric
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)
REQUESTS = [{"x": RANDOM.normal(size=(1, 8, 12, 12)).astype(np.float32)} for _ in range(4)]
WEIGHTS = {
    "w1": RANDOM.normal(size=(8, 8, 1, 1)) / 3, "w2": RANDOM.normal(size=(8, 1, 3, 3)) / 3,
    "w3": RANDOM.normal(size=(8, 8, 1, 1)) / 3,
}  # fmt: skip


def network(*, quantized: bool) -> onnx.ModelProto:
    """Convolutions with a hard-swish, a SiLU and an average behind them; quantized as NNCF does it."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **given: int) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}-node", **given))
        return output

    def rounded(tensor: str, zero: np.generic) -> str:
        if not quantized:
            return tensor
        how = [constant(f"{tensor}-scale", np.float32(0.05)), constant(f"{tensor}-zero", zero)]
        return node("DequantizeLinear", [node("QuantizeLinear", [tensor, *how], f"{tensor}-q"), *how], f"{tensor}-dq")

    def weights(name: str) -> str:
        value = WEIGHTS[name].astype(np.float32)
        if not quantized:
            return constant(name, value)
        scale = (np.abs(value).max(axis=(1, 2, 3)) / 63).astype(np.float32)
        whole = np.round(value / scale[:, None, None, None]).astype(np.int8)
        given = [
            constant(f"{name}-q", whole), constant(f"{name}-scale", scale), constant(f"{name}-zero", np.zeros(8, "i1")),
        ]  # fmt: skip
        return node("DequantizeLinear", given, name, axis=0)

    def convolution(tensor: str, name: str, output: str, zero: np.generic = np.int8(0), **given: object) -> str:  # noqa: B008
        return node("Conv", [rounded(tensor, zero), weights(name)], output, **given)

    convolution("x", "w1", "a")
    node("HardSwish", ["a"], "b")
    convolution("b", "w2", "c", np.uint8(20), group=8, pads=[1, 1, 1, 1])
    node("Mul", ["c", node("Sigmoid", ["c"], "gate")], "d")
    convolution("d", "w3", "e", np.int8(-100))
    node("GlobalAveragePool", ["e"], "y")
    shapes = {"x": [1, 8, 12, 12], "y": [1, 8, 1, 1]}
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "net", told[:1], told[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def finished() -> onnx.ModelProto:
    made = network(quantized=True)
    onnx_qdq.finished(made, network(quantized=False), REQUESTS)
    onnx.checker.check_model(made)
    return made


def answers(model: onnx.ModelProto) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.stack([session.run(None, request)[0].ravel() for request in REQUESTS])


def off(model: onnx.ModelProto) -> float:
    wanted = answers(network(quantized=False))
    return float(np.abs(answers(model) - wanted).max() / np.abs(wanted).max())


def operators(model: onnx.ModelProto, path: Path) -> Counter[str]:
    """Those of the graph that ONNX Runtime makes of it."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(path), 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_convolutions_with_hard_swish_and_silu_are_computed_in_integers(
    finished: onnx.ModelProto, tmp_path: Path
) -> None:
    before = operators(network(quantized=True), tmp_path / "before.onnx")
    assert before["QLinearConv"] == 0 and before["Conv"] + before["FusedConv"] == 3
    made = operators(finished, tmp_path / "made.onnx")
    assert made["QLinearConv"] == 3 and not made["Conv"] + made["FusedConv"]
    assert (made["QLinearMul"], made["QLinearAdd"], made["QLinearSigmoid"]) == (2, 1, 1)


def test_the_answers_stay_those_of_the_network(finished: onnx.ModelProto) -> None:
    assert off(finished) < max(0.05, 2 * off(network(quantized=True)))


def test_tensorrt_gets_the_same_around_zero(finished: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(finished, tmp_path / "model.onnx")
    symmetric = tensorrt_symmetric.read(tmp_path / "model.onnx")
    zeros = {tensor.name: numpy_helper.to_array(tensor) for tensor in symmetric.graph.initializer}
    rounding = [node for node in symmetric.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert all(zeros[node.input[2]].dtype == np.int8 and not zeros[node.input[2]].any() for node in rounding)
    assert off(symmetric) < 0.15
