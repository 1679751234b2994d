"""Computes from the shapes what each layer of an ONNX model has to compute and read. Needs the onnx library."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile, Unsupported
from edgebench.specs import Precision

# The operators whose products are counted. All others count as nothing, so that a floor is still a floor.
COUNTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# They compute products too, and are named where they are not counted.
OTHERS = {
    "LSTM", "GRU", "RNN", "Einsum", "DeformConv", "Attention", "MultiHeadAttention", "GroupQueryAttention",
    "QAttention", "QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul",
    "MatMulNBits", "FusedConv", "FusedGemm", "FusedMatMul",
}  # fmt: skip
BITS = {"FLOAT": 32, "FLOAT16": 16, "BFLOAT16": 16, "INT8": 8, "UINT8": 8, "INT4": 4, "UINT4": 4}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer for one batch: multiply-accumulates, bytes of weights, and the precision that it computes in."""

    name: str
    operator: str
    macs: int
    weight_bytes: int
    precision: Precision


@dataclass(frozen=True)
class CountedLayers:
    """The layers of a model, and by operator how many layers are not among them: those inside of other operators, of
    other kinds, and whose sizes are known only when it runs."""

    layers: tuple[Layer, ...]
    uncounted: dict[str, int]


def counted(path: Path, sizes: Mapping[str, Sequence[int]]) -> CountedLayers:
    """The layers of somebody else's model whose inputs have these sizes; what cannot be counted is told."""
    onnx = _library()
    model = _read(onnx, path)
    for value in model.graph.input:
        for dimension, size in zip(value.type.tensor_type.shape.dim, sizes.get(value.name, ()), strict=False):
            dimension.dim_value = size
    graph = _inferred(onnx, model, path)
    inside = Counter(node.op_type for node in _nested(onnx, graph))
    uncounted = Counter({kind: n for kind, n in inside.items() if kind in COUNTED or kind in OTHERS})
    uncounted.update(node.op_type for node in graph.node if node.op_type in OTHERS)
    found, unknown = _layers(onnx, graph)
    return CountedLayers(tuple(found), dict(uncounted + unknown))


def layers(path: Path, batch: int = 1) -> list[Layer]:
    """The layers with products, in the graph's order. Raises Unsupported without onnx, BadFile if a shape is not fixed.

    MACs are counted as in `models.cost.count`: direct convolution, one for each weight and output element.
    """
    onnx = _library()
    model = _read(onnx, path)
    _set_batch(model, batch)
    found, unknown = _layers(onnx, _inferred(onnx, model, path))
    if unknown:
        raise BadFile(
            f"{path}: the shapes of {', '.join(unknown)} are not fixed", "export the ONNX with a fixed image size"
        )
    return found


def _library() -> Any:
    try:
        import onnx

        return onnx
    except ImportError:
        message = "reading the layers of a model needs the onnx library, which is not installed"
        raise Unsupported(
            message, "pip install 'edgebench[onnx]', or estimate on the desk: no board is needed"
        ) from None


def _read(onnx: Any, path: Path) -> Any:
    """The model without the weights that lie beside it: their shapes are in the file itself."""
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf can raise anything
        raise _unreadable(path, error) from error


def _inferred(onnx: Any, model: Any, path: Path) -> Any:
    """The graph with the shapes of its tensors."""
    del model.graph.value_info[:]
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception as error:  # onnx's C++ code can raise anything
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadFile:
    return BadFile(f"{path} is not an ONNX model that onnx can read: {error}", "export the artifact again")


def _nested(onnx: Any, graph: Any) -> Iterator[Any]:
    """The nodes of the graphs inside of operators such as If and Loop."""
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from inner.node
                yield from _nested(onnx, inner)


def _layers(onnx: Any, graph: Any) -> tuple[list[Layer], Counter[str]]:
    """The layers whose sizes are known, and by operator how many there are besides."""
    shapes = {v.name: v.type.tensor_type for v in (*graph.input, *graph.value_info, *graph.output)}
    weights = {tensor.name: (tuple(tensor.dims), tensor.data_type) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}

    def shape(name: str) -> tuple[int, ...] | None:
        if name in weights:
            return weights[name][0]
        sizes = tuple(d.dim_value for d in shapes[name].shape.dim) if name in shapes else (0,)
        return None if 0 in sizes or not sizes else sizes

    found, unknown = [], Counter()
    for node in graph.node:
        if node.op_type in COUNTED and node.domain in ("", "ai.onnx"):
            own = {name for name in node.input for name in (name, *_quantized(makers.get(name)))} & set(weights)
            size = sum(math.prod(weights[n][0]) * _bits(onnx, weights[n][1]) for n in own) // 8
            known = [shape(name) for name in (*node.input[:2], node.output[0])]
            if None in known:
                unknown[node.op_type] += 1
                continue
            macs = _macs(node, known[:2], known[2])
            found.append(
                Layer(
                    name=node.name,
                    operator=node.op_type,
                    macs=macs,
                    weight_bytes=size,
                    precision=_precision(onnx, node, makers, weights, shapes),
                )
            )
    return found, unknown


def _set_batch(model: Any, batch: int) -> None:
    first = model.graph.input[0].type.tensor_type.shape.dim[0]
    if first.dim_param or not first.dim_value:
        first.dim_value = batch
        for output in model.graph.output:  # computed from the input
            output.type.tensor_type.ClearField("shape")
    elif first.dim_value != batch:
        raise BadFile(f"the model takes batches of {first.dim_value}, not of {batch}", f"--batch {first.dim_value}")


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
