"""Reads what a .tflite file takes and returns, and how it was made, by LiteRT's schema: nothing in it is executed."""

from __future__ import annotations

import math
import mmap
import struct
from collections import Counter
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from edgebench.runtimes import litert_graph
from edgebench.runtimes.litert_graph import IDENTIFIER, Node, Tensor, count, numbers, text

from edgebench.errors import BadFile
from edgebench.specs import Foreign, Precision, TensorSpec

WEIGHTS = {"float32", "float16", "bfloat16", "float64", "int8", "uint8", "int4", "uint4", "int2"}
BYTES = {"int8", "uint8", "int4", "uint4", "int2"}
INTEGERS = {"int8", "uint8", "int16"}
# Operators that multiply by weights: how these compute is how the model is quantized.
PRODUCTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV", "CONV_3D"}
STATES = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
STEERING = {
    "IF", "WHILE", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "WHERE", "UNIQUE", "STABLEHLO_WHILE",
    "STABLEHLO_CASE", "TFLite_Detection_PostProcess",
}  # fmt: skip
PASSED_ON = {"CAST", "RESHAPE", "EXPAND_DIMS", "SQUEEZE"}  # integers stay what they are
LOOKUPS = {"GATHER": (0, 1), "EMBEDDING_LOOKUP": (1, 0)}  # which operand is the table, which the indices


def read(path: Path) -> Foreign:
    """The signature of the first subgraph. Raises BadFile for what cannot be measured, with the reason."""
    with path.open("rb") as file:
        head = file.read(8)
        if head[4:] != IDENTIFIER:
            raise BadFile(f"{path} is not a .tflite file: it does not begin as one", "get the file again")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return _read(path, data)
    except (struct.error, TypeError, AttributeError, OverflowError, IndexError):  # by flatbuffers, of damaged tables
        why = "its tables lead beyond its end, or to something else than they say"
    except ValueError as error:
        why = str(error)
    raise BadFile(f"{path} is damaged: {why}", "get the file again: it may be a download that stopped")


def _read(path: Path, data: mmap.mmap) -> Foreign:
    model = schema.Model.GetRootAs(data, 0)
    every = litert_graph.graphs(model, data)
    tensors, nodes = every[0]
    first = model.Subgraphs(0)
    inputs, outputs = (
        _specs(side, [tensors[i] for i in numbers(first, f"{side.title()}s")]) for side in ("input", "output")
    )
    if not outputs:
        raise BadFile(f"{path} has no output", "convert the model again")
    quantized, precision = _quantized(tensors, nodes)
    weights = {one.buffer: one for tensors, _ in every for one in tensors if one.buffer and one.dtype in WEIGHTS}
    return Foreign(
        inputs=inputs, outputs=outputs, files=(path.name,), precision=precision, quantized=quantized,
        parameters=sum(math.prod(one.shape) for one in weights.values()), tools=_told(model, data),
        steered_by=tuple(sorted(STEERING & {node.name for _, nodes in every for node in nodes})),
        stateful=any(node.name in STATES for node in nodes) or any(one.state for one in tensors),
        below=_below(inputs, numbers(first, "Inputs"), tensors, nodes),
    )  # fmt: skip


def _specs(side: str, tensors: list[Tensor]) -> tuple[TensorSpec, ...]:
    """By the names of the tensors; one without a name, or with that of an earlier one, is called by its number."""
    found: list[TensorSpec] = []
    for i, one in enumerate(tensors):
        taken = {spec.name for spec in found}
        name = one.name if one.name and one.name not in taken else f"{side}_{i}"
        shape = tuple(f"{name}:{axis}" if size < 0 else size for axis, size in enumerate(one.shape))
        found.append(TensorSpec(name, one.dtype, shape))
    return tuple(found)


def _quantized(tensors: list[Tensor], nodes: list[Node]) -> tuple[str, Precision]:
    """How it is quantized, in one word, and what most of the products are computed in."""
    kinds: Counter[tuple[str, str]] = Counter()
    for node in nodes:
        if node.name in PRODUCTS and len(node.takes) > 1:
            kinds[tensors[node.takes[0]].dtype, tensors[node.takes[1]].dtype] += 1
    stored = {tensors[n.takes[0]].dtype for n in nodes if n.name == "DEQUANTIZE" and tensors[n.takes[0]].buffer}
    if any(values in INTEGERS for values, _ in kinds):
        return "integer", "int8"
    if any(weights in BYTES for _, weights in kinds):
        return "dynamic", "int8"
    how = "weights" if stored & BYTES else "fp16 weights" if "float16" in stored else ""
    return how, "fp16" if kinds and max(kinds, key=kinds.__getitem__)[0] == "float16" else "fp32"


def _told(model: Any, data: mmap.mmap) -> dict[str, str]:
    """What the file says of itself; which of several signatures is meant."""
    told = {"schema": str(model.Version()), "converter": text(model.Description())}
    for i in range(count(model.MetadataLength(), data)):
        entry = model.Metadata(i)
        if entry.Name() == b"min_runtime_version":
            content = model.Buffers(entry.Buffer()).DataAsNumpy()
            told["runtime at least"] = text(bytes(content)).strip("\0") if not isinstance(content, int) else ""
    signatures = [model.SignatureDefs(i) for i in range(count(model.SignatureDefsLength(), data))]
    if len(signatures) > 1:
        first = next((text(s.SignatureKey()) for s in signatures if s.SubgraphIndex() == 0), "no name")
        told["signature"] = f"{first}, the first of {len(signatures)}"
    return {name: value for name, value in told.items() if value}


def _below(
    inputs: tuple[TensorSpec, ...], places: list[int], tensors: list[Tensor], nodes: list[Node]
) -> dict[str, int]:
    """By input, the size of the smallest table in which its integers are looked up."""
    came_from = {made: node.takes[0] for node in nodes if node.name in PASSED_ON for made in node.makes}
    names, below = dict(zip(places, (spec.name for spec in inputs), strict=True)), {}
    for node in nodes:
        if node.name in LOOKUPS and len(node.takes) > 1:
            table, index = (node.takes[i] for i in LOOKUPS[node.name])
            seen: set[int] = set()
            while index in came_from and index not in seen:
                seen.add(index)
                index = came_from[index]
            if index in names and tensors[table].buffer and tensors[table].shape:
                size = tensors[table].shape[0]
                below[names[index]] = min(size, below.get(names[index], size))
    return below
