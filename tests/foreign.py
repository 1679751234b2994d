"""Small ONNX files as others make them: many inputs and outputs, states, no batch, and what has to be refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING


def tensor(name: str, kind: int, shape: Sequence[int | str | None] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def write(
    path: Path, nodes: Sequence[onnx.NodeProto], inputs: Sequence[Any], outputs: Sequence[Any],
    weights: dict[str, np.ndarray] | None = None, *, opset: int = 17, ir: int = 8,
) -> Path:  # fmt: skip
    """A file with this graph; nothing checks it."""
    tables = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), tables)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def detector(path: Path) -> Path:
    """An image of any size to scores (float), the place of the best (int64) and whether it is sure (bool)."""
    weights = {"w": np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32), "half": np.float32(0.5)}
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["maps"], strides=[2, 2]),
        helper.make_node("ReduceMean", ["maps"], ["scores/mean out"], axes=[2, 3], keepdims=0),
        helper.make_node("ArgMax", ["scores/mean out"], ["best"], axis=1, keepdims=0),
        helper.make_node("Greater", ["scores/mean out", "half"], ["sure"]),
    ]
    outputs = [tensor("scores/mean out", FLOAT, ["batch", 4]), tensor("best", INT64, None), tensor("sure", BOOL, None)]
    return write(path, nodes, [tensor("images", FLOAT, ["batch", 3, "height", "width"])], outputs, weights)


def voice(path: Path) -> Path:
    """A signal, a state and a rate, a scalar, to an answer and the next state."""
    nodes = [
        helper.make_node("Cast", ["sr"], ["rate"], to=FLOAT),
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Div", ["mean", "rate"], ["output"]),
        helper.make_node("Add", ["state", "mean"], ["next"]),
    ]
    inputs = [tensor("input", FLOAT, [None, None]), tensor("state", FLOAT, [2, None, 4]), tensor("sr", INT64, [])]
    return write(path, nodes, inputs, [tensor("output", FLOAT, [None, 1]), tensor("next", FLOAT, [2, None, 4])])


def words(path: Path) -> Path:
    """Indices into a table of seven rows, cast first, to their mean."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["wide"], to=INT64),
        helper.make_node("Gather", ["table", "wide"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["embedding"], axes=[1], keepdims=0),
    ]
    table = np.arange(21, dtype=np.float32).reshape(7, 3)
    ids = tensor("input_ids", TensorProto.INT32, ["batch", "sequence"])
    return write(path, nodes, [ids], [tensor("embedding", FLOAT, ["batch", 3])], {"table": table})


def plain(path: Path, shape: Sequence[int | str | None] | None = (1, 4), kind: int = FLOAT, **made: Any) -> Path:
    """One input to one output, which is the same."""
    node = helper.make_node("Identity", ["in"], ["out"])
    return write(path, [node], [tensor("in", kind, shape)], [tensor("out", kind, shape)], **made)


def heavy(path: Path, location: str = "weights.bin") -> Path:
    """A matrix whose numbers are in a file beside the model, or wherever `location` leads."""
    array = np.arange(8, dtype=np.float32).reshape(4, 2)
    made = write(
        path, [helper.make_node("MatMul", ["in", "w"], ["out"])], [tensor("in", FLOAT, ["batch", 4])],
        [tensor("out", FLOAT, ["batch", 2])], {"w": array},
    )  # fmt: skip
    model = onnx.load(made)
    (weights,) = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    made.write_bytes(model.SerializeToString())
    (path.parent / "weights.bin").write_bytes(array.tobytes())
    return made


def overflowing(path: Path) -> Path:
    """A product in int8 whose pairs exceed 16 bits: bytes times weights of 127. Its true answer is 4 × 255 × 127."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["bytes", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["bytes", "weights", "zero"], ["product"]),
        helper.make_node("Cast", ["product"], ["answer"], to=FLOAT),
    ]
    weights = {"weights": np.full((4, 16), 127, np.int8)}
    return write(path, nodes, [tensor("x", FLOAT, (1, 4))], [tensor("answer", FLOAT, (1, 16))], weights)


def random(path: Path) -> Path:
    """One output that is the same each time, and one that is not."""
    nodes = [helper.make_node("Identity", ["in"], ["same"]), helper.make_node("RandomNormal", [], ["noise"], shape=[8])]
    return write(
        path, nodes, [tensor("in", FLOAT, [1, 4])], [tensor("same", FLOAT, [1, 4]), tensor("noise", FLOAT, [8])]
    )


def colours(path: Path, classes: int = 3, *, batch: int | str = 1, index: bool = False) -> Path:
    """A picture of 4 × 4 to its mean red, green and blue as scores of the first three classes; beside them, if asked,
    the place of the best."""
    weights = {"w": np.eye(3, classes, dtype=np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
    ]
    outputs = [tensor("scores", FLOAT, [batch, classes]), tensor("best", INT64, [batch])]
    image = tensor("image", FLOAT, [batch, 3, 4, 4])
    return write(path, nodes[: 2 + index], [image], outputs[: 1 + index], weights)
