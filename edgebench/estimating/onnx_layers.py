"""Computes from the shapes what each layer of an ONNX model has to compute and read. Needs the onnx library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile, Unsupported
from edgebench.specs import Precision

# The operators whose products are counted. All others count as nothing, so that a floor is still a floor.
COUNTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
BITS = {"FLOAT": 32, "FLOAT16": 16, "BFLOAT16": 16, "INT8": 8, "UINT8": 8, "INT4": 4, "UINT4": 4}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer for one batch: multiply-accumulates, bytes of weights, and the precision that it computes in."""

    name: str
    operator: str
    macs: int
    weight_bytes: int
    precision: Precision


def layers(path: Path, batch: int = 1) -> list[Layer]:
    """The layers with products, in the graph's order. Raises Unsupported without onnx, BadFile if a shape is not fixed.

    MACs are counted as in `models.cost.count`: direct convolution, one for each weight and output element.
    """
    try:
        import onnx
    except ImportError:
        message = "reading the layers of a model needs the onnx library, which is not installed"
        raise Unsupported(
            message, "pip install 'edgebench[onnx]', or estimate on the desk: no board is needed"
        ) from None
    try:
        graph = _with_shapes(onnx, onnx.load(str(path)), batch).graph
    except Exception as error:  # protobuf and onnx's C++ code can raise anything
        raise BadFile(
            f"{path} is not an ONNX model that onnx can read: {error}", "export the artifact again"
        ) from error
    shapes = {v.name: v.type.tensor_type for v in (*graph.input, *graph.value_info, *graph.output)}
    weights = {tensor.name: (tuple(tensor.dims), tensor.data_type) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}

    def shape(name: str) -> tuple[int, ...]:
        if name in weights:
            return weights[name][0]
        sizes = tuple(d.dim_value for d in shapes[name].shape.dim) if name in shapes else (0,)
        if 0 in sizes:
            raise BadFile(f"{path}: the shape of {name!r} is not fixed", "export the ONNX with a fixed image size")
        return sizes

    found = []
    for node in graph.node:
        if node.op_type in COUNTED and node.domain in ("", "ai.onnx"):
            own = {name for name in node.input for name in (name, *_quantized(makers.get(name)))} & set(weights)
            size = sum(math.prod(weights[n][0]) * _bits(onnx, weights[n][1]) for n in own) // 8
            macs = _macs(node, [shape(name) for name in node.input[:2]], shape(node.output[0]))
            found.append(
                Layer(
                    name=node.name,
                    operator=node.op_type,
                    macs=macs,
                    weight_bytes=size,
                    precision=_precision(onnx, node, makers, weights, shapes),
                )
            )
    return found


def _with_shapes(onnx: Any, model: Any, batch: int) -> Any:
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    if first.dim_param or not first.dim_value:
        first.dim_value = batch
        for output in model.graph.output:  # computed from the input
            output.type.tensor_type.ClearField("shape")
    elif first.dim_value != batch:
        raise BadFile(f"the model takes batches of {first.dim_value}, not of {batch}", f"--batch {first.dim_value}")
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def _macs(node: Any, inputs: list[tuple[int, ...]], output: tuple[int, ...]) -> int:
    if node.op_type == "Conv":
        return math.prod(output) * math.prod(inputs[1][1:])  # weights: (out, in / groups, …)
    if node.op_type == "ConvTranspose":
        return math.prod(inputs[0]) * math.prod(inputs[1][1:])  # weights: (in, out / groups, …)
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return math.prod(output) * inputs[0][0 if transposed else 1]
    return math.prod(output) * inputs[0][-1]


def _quantized(maker: Any) -> list[str]:
    return [maker.input[0]] if maker is not None and maker.op_type == "DequantizeLinear" else []


def _bits(onnx: Any, kind: int) -> int:
    return BITS.get(onnx.TensorProto.DataType.Name(kind), 32)


def _precision(onnx: Any, node: Any, makers: dict, weights: dict, shapes: dict) -> Precision:
    if all(_quantized(makers.get(name)) for name in node.input[:2]):
        return "int8"
    name = node.input[0]
    kind = weights[name][1] if name in weights else shapes[name].elem_type
    return {"FLOAT16": "fp16", "BFLOAT16": "bf16"}.get(onnx.TensorProto.DataType.Name(kind), "fp32")
