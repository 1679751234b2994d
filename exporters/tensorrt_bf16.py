"""ONNX in fp32 → the same typed bf16 within, for plans of TensorRT-RTX; inputs and outputs stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgebench.exporting import onnx_weights

FLOAT, HALF = TensorProto.FLOAT, TensorProto.BFLOAT16
# By operator, the inputs that have to stay float32: sizes and factors, not numbers that flow.
KEPT = {"Resize": (1, 2), "Upsample": (1,)}


def read(path: Path) -> onnx.ModelProto:
    """The model of an ONNX file, with weights beside it included, with every number within in bf16."""
    model = onnx_weights.load(path)
    graph = model.graph
    _spell_out(graph)
    kept = {node.input[i] for node in graph.node for i in KEPT.get(node.op_type, ()) if i < len(node.input)}
    for tensor in graph.initializer:
        if tensor.data_type == FLOAT and tensor.name not in kept:
            tensor.CopyFrom(_rounded(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == FLOAT:
                attribute.i = HALF
            elif attribute.t.data_type == FLOAT and not kept & {*node.output}:  # of a constant
                attribute.t.CopyFrom(_rounded(attribute.t))
    del graph.value_info[:]  # the types of what is between
    first = [_cast_input(graph, value) for value in graph.input if value.type.tensor_type.elem_type == FLOAT]
    last = [_cast_output(graph, value) for value in graph.output if value.type.tensor_type.elem_type == FLOAT]
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def _spell_out(graph: onnx.GraphProto) -> None:
    """Write HardSwish and HardSigmoid, which TensorRT-RTX 1.7.1 does not take in bf16, as what they are made of."""
    nodes = []
    for node in graph.node:
        if node.op_type not in ("HardSwish", "HardSigmoid"):
            nodes.append(node)
            continue
        told = {attribute.name: attribute.f for attribute in node.attribute}
        swish, (data,), (made,) = node.op_type == "HardSwish", node.input, node.output
        slope, offset = (1 / 6, 0.5) if swish else (told.get("alpha", 0.2), told.get("beta", 0.5))
        values = {"slope": slope, "offset": offset, "least": 0.0, "most": 1.0}
        graph.initializer.extend(helper.make_tensor(f"{made}_{name}", FLOAT, [], [v]) for name, v in values.items())
        gate = f"{made}_gate" if swish else made
        nodes += [
            helper.make_node("Mul", [data, f"{made}_slope"], [f"{made}_scaled"], f"{node.name}_mul"),
            helper.make_node("Add", [f"{made}_scaled", f"{made}_offset"], [f"{made}_moved"], f"{node.name}_add"),
            helper.make_node("Clip", [f"{made}_moved", f"{made}_least", f"{made}_most"], [gate], f"{node.name}_clip"),
            *([helper.make_node("Mul", [data, gate], [made], node.name)] if swish else []),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _rounded(tensor: onnx.TensorProto) -> onnx.TensorProto:
    """The tensor in bf16: the upper half of each float32, rounded to the nearest, and to even between two."""
    bits = np.ascontiguousarray(onnx.numpy_helper.to_array(tensor), np.float32).view(np.uint32)
    upper = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return helper.make_tensor(tensor.name, HALF, tensor.dims, upper.tobytes(), raw=True)


def _cast_input(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> onnx.NodeProto:
    inner = f"{value.name}_bf16"
    for node in graph.node:
        node.input[:] = [inner if name == value.name else name for name in node.input]
    return helper.make_node("Cast", [value.name], [inner], f"{inner}_cast", to=HALF)


def _cast_output(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> onnx.NodeProto:
    inner = f"{value.name}_bf16"
    for node in graph.node:
        node.input[:] = [inner if name == value.name else name for name in node.input]
        node.output[:] = [inner if name == value.name else name for name in node.output]
    return helper.make_node("Cast", [inner], [value.name], f"{inner}_cast", to=FLOAT)
