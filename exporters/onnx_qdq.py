"""Closes the gaps that NNCF leaves around an ONNX file's convolutions, so that ONNX Runtime computes them in integers.

ONNX Runtime computes a convolution in int8 only if its inputs are dequantized and its output is quantized right there,
all by one scale, and with one type for both. NNCF leaves the output in floating point where a hard-swish or SiLU
follows, since OpenVINO fuses that. ONNX Runtime then turned the weights back into floats in each inference: MobileNetV3
took three to four times as long as in fp32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

MOST = 64  # requests that tell the ranges
BOUNDED = {"HardSwish": -3.0, "Sigmoid": -8.0}  # below it, hard-swish is 0, and SiLU all but 0


class _Writer:
    """Nodes and constants to add to a graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph, self.nodes = graph, []

    def constant(self, name: str, value: np.generic) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"{output}.{kind}"))
        return output

    def quantized(self, tensor: str, low: float, high: float, shrunk: float = 1.0) -> str:
        """The tensor, rounded to 8 bits between `low` and `high`, and then divided by `shrunk`."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / 255, 1e-8)
        zero = self.constant(f"{tensor}.zero", np.uint8(np.clip(round(-low / scale), 0, 255)))
        step = self.constant(f"{tensor}.scale", np.float32(scale))
        back = step if shrunk == 1.0 else self.constant(f"{tensor}.shrunk", np.float32(scale / shrunk))
        rounded = self.node("QuantizeLinear", [tensor, step, zero], f"{tensor}.quantized")
        return self.node("DequantizeLinear", [rounded, back, zero], f"{tensor}.rounded")


def finished(made: onnx.ModelProto, fp32: onnx.ModelProto, requests: Iterable[Mapping[str, np.ndarray]]) -> None:
    """Change the quantized model in place. The `requests` to its original in `fp32` tell the ranges.

    A graph with others inside, such as those of an If, stays as it is: they may use any of its tensors.
    """
    graph = made.graph
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return
    source = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    known = {name for node in fp32.graph.node for name in node.output}
    outputs = {output.name for output in graph.output}
    gaps = [
        node.output[0]
        for node in graph.node
        if node.op_type == "Conv" and _dequantized(node, source) and {node.output[0]} <= known - outputs
        and not _closed(users.get(node.output[0], []))
    ]  # fmt: skip
    ranges, writer, dropped = _ranges(fp32, gaps, requests), _Writer(graph), set()
    for name in gaps:
        dropped |= _close(name, users[name], ranges[name], writer)
    _sorted_in(graph, [node for node in graph.node if id(node) not in dropped] + writer.nodes)
    _in_uint8(graph)
    del graph.value_info[:]  # the types of what was changed


def _dequantized(node: onnx.NodeProto, source: Mapping[str, onnx.NodeProto]) -> bool:
    return all(name in source and source[name].op_type == "DequantizeLinear" for name in node.input[:2])


def _closed(users: Sequence[onnx.NodeProto]) -> bool:
    """Whether ONNX Runtime finds the quantizer by itself; a ReLU goes into it."""
    return len(users) == 1 and users[0].op_type in ("QuantizeLinear", "Relu", "Clip")


def _close(name: str, users: Sequence[onnx.NodeProto], found: tuple[float, float], writer: _Writer) -> set[int]:
    """Quantize a convolution's output, and what follows it where that has a form in integers. Returns the ids of the
    nodes that are replaced."""
    kinds = sorted(node.op_type for node in users)
    low, high = found
    if kinds == ["HardSwish"]:  # x · min(max(x + 3, 0), 6) ÷ 6
        rounded = writer.quantized(name, max(low, BOUNDED["HardSwish"]), high)
        three = [
            writer.constant(f"{name}.three", np.uint8(255)), writer.constant(f"{name}.step", np.float32(3 / 255)),
            writer.constant(f"{name}.none", np.uint8(0)),
        ]  # fmt: skip
        moved = writer.node("Add", [rounded, writer.node("DequantizeLinear", three, f"{name}.3")], f"{name}.moved")
        ends = [writer.constant(f"{name}.end{value}", np.float32(value)) for value in (0, 6)]
        gate = writer.quantized(writer.node("Clip", [moved, *ends], f"{name}.gate"), 0.0, 6.0, shrunk=6.0)
        writer.node("Mul", [rounded, gate], users[0].output[0])
        return {id(users[0])}
    if kinds == ["Mul", "Sigmoid"]:
        times, sigmoid = sorted(users, key=lambda node: node.op_type)
        if sorted(times.input) == sorted([name, sigmoid.output[0]]):
            rounded = writer.quantized(name, max(low, BOUNDED["Sigmoid"]), high)
            gate = writer.quantized(writer.node("Sigmoid", [rounded], f"{name}.gate"), 0.0, 1.0)
            writer.node("Mul", [rounded, gate], times.output[0])
            return {id(times), id(sigmoid)}
    rounded = writer.quantized(name, low, high)
    for node in users:
        node.input[:] = [rounded if given == name else given for given in node.input]
    return set()


def _ranges(
    fp32: onnx.ModelProto, names: Sequence[str], requests: Iterable[Mapping[str, np.ndarray]]
) -> dict[str, tuple[float, float]]:
    """The smallest and the largest value of each tensor."""
    if not names:
        return {}
    probe = onnx.ModelProto()
    probe.CopyFrom(fp32)
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for _, request in zip(range(MOST), requests, strict=False):
        found = session.run(list(names), dict(request))
        low = np.minimum(low, [tensor.min() for tensor in found])
        high = np.maximum(high, [tensor.max() for tensor in found])
    return dict(zip(names, zip(low.tolist(), high.tolist(), strict=True), strict=True))


def _sorted_in(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    """Put the nodes into the graph, each after those whose outputs it takes."""
    source = {name: node for node in nodes for name in node.output}
    done: dict[int, onnx.NodeProto] = {}
    for node in nodes:
        waiting = [node]
        while waiting:
            needed = [source[name] for name in waiting[-1].input if name in source and id(source[name]) not in done]
            if needed:
                waiting += needed
            else:
                found = waiting.pop()
                done[id(found)] = found
    kept = [_copied(node) for node in done.values()]
    del graph.node[:]
    graph.node.extend(kept)


def _copied(node: onnx.NodeProto) -> onnx.NodeProto:
    made = onnx.NodeProto()
    made.CopyFrom(node)
    return made


def _in_uint8(graph: onnx.GraphProto) -> None:
    """Give all activations the one type that x86's kernels take: int8 moved by 128 is the same numbers."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    moved: dict[str, onnx.TensorProto] = {}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[0] in constants:
            continue
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and zero.data_type == onnx.TensorProto.INT8:
            value = numpy_helper.to_array(zero).astype(np.int16) + 128
            moved[zero.name] = numpy_helper.from_array(value.astype(np.uint8), f"{zero.name}.uint8")
            node.input[2] = moved[zero.name].name
    used = {name for node in graph.node for name in node.input}
    for name in moved.keys() - used:
        graph.initializer.remove(constants[name])
    graph.initializer.extend(moved.values())
