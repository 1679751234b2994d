"""Small ONNX graphs for linting: over operator × opset × type, and with a refusal or a trap that was planted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto as Kind
from onnx import helper, numpy_helper

PLANTED = "planted"  # the name of the node that is refused, or walks into a trap
PIXELS = ("batch", 3, 16, 16)


def graph(
    nodes: Sequence[onnx.NodeProto], constants: dict[str, Any] | None = None, *, opset: int = 17,
    given: dict[str, tuple[int, Sequence[int | str]]] | None = None, made: int = Kind.FLOAT, domain: str = "",
) -> onnx.ModelProto:  # fmt: skip
    """A model of these nodes from `x`, by default float32 pixels, to `y`."""
    inputs = [helper.make_tensor_value_info(n, *of) for n, of in (given or {"x": (Kind.FLOAT, PIXELS)}).items()]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    made_graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", made, None)], weights)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(made_graph, opset_imports=opsets, ir_version=8)


def node(operator: str, inputs: str = "x", outputs: str = "y", name: str = PLANTED, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(), outputs.split(), name, **attributes)


def quantized(zero: Any, name: str = PLANTED) -> onnx.ModelProto:
    """What follows a ReLU, through QuantizeLinear with this zero point."""
    nodes = [node("Relu", outputs="r", name="relu"), node("QuantizeLinear", "r scale zero", "q", name)]
    nodes += [node("DequantizeLinear", "q scale zero", name="dequantize")]
    return graph(nodes, {"scale": np.float32(0.1), "zero": zero}, opset=21 if zero.dtype == np.uint16 else 17)


def taken() -> dict[str, onnx.ModelProto]:
    """Graphs that every TensorRT of 10.3 and later takes, and the runtimes of the CPU."""
    kinds = {"fp32": (Kind.FLOAT, np.float32), "fp16": (Kind.FLOAT16, np.float16)}
    random, found = np.random.default_rng(0), {}
    for word, (kind, dtype) in kinds.items():
        given = {"x": (kind, PIXELS)}
        filters, matrix = (random.normal(size=s).astype(dtype) for s in ((4, 3, 3, 3), (16, 8)))
        for opset in (13, 17, 19):
            ops = {
                "Conv": ([node("Conv", "x w", pads=[1] * 4)], {"w": filters}),
                "MatMul": ([node("MatMul", "x w")], {"w": matrix}),
                "Softmax": ([node("Softmax", axis=-1)], {}),
                "GlobalAveragePool": ([node("GlobalAveragePool")], {}),
                "Erf": ([node("Erf")], {}),
            }
            if opset >= 17:
                ops["LayerNormalization"] = ([node("LayerNormalization", "x s")], {"s": np.ones(16, dtype)})
                ops["HardSwish"] = ([node("HardSwish")], {})
            for name, (nodes, constants) in ops.items():
                found[f"{name}-{opset}-{word}"] = graph(nodes, constants, opset=opset, given=given, made=kind)
    found["bytes"] = graph(
        [node("Cast", outputs="f", to=Kind.FLOAT), node("Relu", "f", name="relu")],
        given={"x": (Kind.UINT8, ("batch", 16, 16, 3))},
    )
    found["quantized"] = quantized(np.int8(0))
    return found


def refused() -> dict[str, onnx.ModelProto]:
    """Graphs that TensorRT's parser refuses, at the node PLANTED."""
    half = node("Cast", outputs="h", name="cast", to=Kind.FLOAT16)
    scales = {"s": np.float32(0.1), "z": np.uint8(0), "w": np.ones((4, 3, 3, 3), np.int8), "o": np.int8(0)}
    rounded = node("QuantizeLinear", "x s z", "q", "quantize")
    return {
        "unknown operator": graph([node("Foo", domain="elsewhere")], domain="elsewhere"),
        "int8 zero point": quantized(np.int8(3)),
        "uint8 zero point": quantized(np.uint8(3)),
        "two types": graph([half, node("Add", "h x")]),
        "sizes": graph([node("MatMul", "x w")], {"w": np.ones((5, 4), np.float32)}),
        "no maker": graph([node("Add", "x nowhere")]),
        "bytes moved": graph([node("Transpose", perm=[0, 3, 1, 2])], given={"x": (Kind.UINT8, (1, 8, 8, 3))}, made=2),
        "QLinearConv": graph([rounded, node("QLinearConv", "q s z w s o s z", pads=[1] * 4)], scales, made=2),
        "DynamicQuantizeLinear": graph([node("DynamicQuantizeLinear", outputs="y s z")], made=Kind.UINT8),
        "Unique": graph([node("Unique")]),
        "scatter": graph(  # of which the parser's error names no node
            [node("ScatterElements", "x i u", axis=1, reduction="max")],
            {"i": np.zeros((1, 2), np.int64), "u": np.ones((1, 2), np.float32)},
            given={"x": (Kind.FLOAT, (1, 16))},
            opset=18,
        ),
        "BitShift": graph(
            [node("BitShift", "x k", direction="LEFT")], {"k": np.uint8(2)}, given={"x": (Kind.UINT8, (1, 3))}, made=2
        ),
        "MatMulInteger": graph(
            [node("MatMulInteger", "x w")], {"w": np.ones((16, 4), np.int8)}, given={"x": (Kind.INT8, (1, 16))}, made=6
        ),
    }


def trapped() -> dict[str, onnx.ModelProto]:
    """Graphs that TensorRT's parser takes, and computes otherwise, at the node PLANTED."""
    double = [node("Cast", outputs="d", to=Kind.DOUBLE), node("Cast", "d", name="back", to=Kind.FLOAT)]
    pieces = [
        node("Pow", "x two", "p"), node("ReduceMean", "p", "m", "mean", axes=[-1]), node("Sqrt", "m", name="root"),
    ]  # fmt: skip
    halves = {"x": (Kind.FLOAT16, PIXELS)}
    return {
        "bytes after a ReLU": quantized(np.uint8(0)),
        "double": graph(double),
        "norm in pieces": graph(pieces, {"two": np.float16(2)}, given=halves, made=Kind.FLOAT16),
    }
