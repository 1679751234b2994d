"""Reads what an ONNX file takes and returns, and how it was made, without any library: nothing in it is executed."""

from __future__ import annotations

import mmap
from collections import Counter
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records.onnx_file import external_files
from edgebench.records.onnx_graph import Graph, collected, text
from edgebench.records.onnx_walk import NUMBER, fields
from edgebench.specs import ANY_RANK, Foreign, Precision, TensorSpec

# onnx.proto's numbers of element types, by numpy's names. The others have no type in numpy.
TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4e2m1",
}  # fmt: skip
WEIGHTS: dict[int, Precision] = {1: "fp32", 2: "int8", 3: "int8", 10: "fp16", 11: "fp32", 16: "bf16"}
CONTAINERS = {4: "a sequence", 5: "a map", 7: "an opaque type", 8: "a sparse tensor", 9: "an optional value"}
STEERING = {"If", "Loop", "Scan", "NonMaxSuppression", "NonZero", "Compress", "Unique"}
MOST_SIZE = 2**31  # of one dimension
NO_ZIPMAP = "convert it again with plain tensors, as skl2onnx does with options={'zipmap': False}"


def read(path: Path) -> Foreign:
    """The signature of the file. Raises BadFile for what cannot be measured, with the reason."""
    outside = external_files(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = collected(data)
            inputs = [_tensor(data, *where, path) for where in found.inputs]
            outputs = [_tensor(data, *where, path) for where in found.outputs]
    except (ValueError, IndexError) as error:
        raise BadFile(f"{path} is not an ONNX file, or damaged: {error}", "get the file again") from None
    inputs = [spec for spec in inputs if spec.name not in found.first_sizes]  # IR 3 lists weights among the inputs
    _check(path, inputs, outputs)
    quantized, precision = _quantized(found), _precision(found.weights)
    return Foreign(
        inputs=tuple(inputs), outputs=tuple(outputs), files=(path.name, *sorted(outside)),
        precision="int8" if quantized in ("QDQ", "QOperator", "dynamic") else precision,
        parameters=sum(count for kind, count in found.weights.items() if kind in WEIGHTS), tools=found.told,
        quantized=quantized, steered_by=tuple(sorted(STEERING & set(found.operators))), below=_below(found),
    )  # fmt: skip


def _tensor(data: mmap.mmap, start: int, end: int, path: Path) -> TensorSpec:
    name, dtype, shape = "", "", None
    for number, begin, stop in fields(data, start, end):
        if number == 1 and stop != NUMBER:
            name = text(data, begin, stop)
        elif number == 2 and stop != NUMBER:
            for kind, a, b in fields(data, begin, stop):
                if kind in CONTAINERS:
                    raise BadFile(
                        f"{path}: {name!r} is {CONTAINERS[kind]}, which edgebench does not measure",
                        NO_ZIPMAP if kind in (4, 5) else "export the model with plain tensors",
                    )
                if kind == 1:
                    dtype, shape = _tensor_type(data, a, b, name)
    if not dtype:
        raise ValueError(f"the type of {name!r} is missing")
    return TensorSpec(name, dtype, (ANY_RANK,) if shape is None else shape)


def _tensor_type(data: mmap.mmap, start: int, end: int, name: str) -> tuple[str, tuple[int | str, ...] | None]:
    dtype, shape = "", None
    for number, begin, stop in fields(data, start, end):
        if number == 1 and stop == NUMBER:
            dtype = TYPES.get(begin, f"type {begin}")
        elif number == 2 and stop != NUMBER:
            shape = tuple(_size(data, a, b, name, i) for i, (_, a, b) in enumerate(fields(data, begin, stop)))
    return dtype, shape


def _size(data: mmap.mmap, start: int, end: int, name: str, axis: int) -> int | str:
    """A dimension: its number; its name; or where it has neither, "INPUT:AXIS"."""
    for number, begin, stop in fields(data, start, end):
        if number == 1 and stop == NUMBER:
            size = begin - (1 << 64) if begin >= 1 << 63 else begin
            if size >= MOST_SIZE:
                raise ValueError(f"dimension {axis} of {name!r} is {size}")
            return size if size >= 0 else f"{name}:{axis}"  # -1 is how some exporters write "open"
        if number == 2 and stop != NUMBER and begin < stop:
            told = text(data, begin, stop)
            return f"{name}:{axis}" if told == "?" else told  # "?" is no name: two of them need not be equal
    return f"{name}:{axis}"


def _check(path: Path, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> None:
    for what, specs in (("input", inputs), ("output", outputs)):
        names = [spec.name for spec in specs]
        if not all(names):
            raise BadFile(f"{path} has an {what} without a name", "give it one, or export the model again")
        if twice := sorted(name for name, count in Counter(names).items() if count > 1):
            raise BadFile(f"{path} has {what}s of the same name: {twice[0]!r}", "rename one, or export the model again")
    if not outputs:
        raise BadFile(f"{path} has no output", "export the model again")


def _quantized(found: Graph) -> str:
    operators, sizes = found.operators, found.weights
    if any(name.startswith("QLinear") or name == "QGemm" for name in operators):
        return "QOperator"
    if operators.keys() & {"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul"}:
        return "dynamic"
    if operators.keys() >= {"QuantizeLinear", "DequantizeLinear"}:
        return "QDQ"
    mostly_bytes = 2 * (sizes[2] + sizes[3]) > sizes.total()  # cast and scaled in the graph
    return "weights" if mostly_bytes or operators.keys() & {"DequantizeLinear", "MatMulNBits"} else ""


def _precision(weights: Counter[int]) -> Precision:
    """What most of the weights are in; bytes are weights of a quantized model, or tables."""
    floats = {kind: count for kind, count in weights.items() if WEIGHTS.get(kind, "int8") != "int8"}
    return WEIGHTS[max(floats, key=floats.__getitem__)] if floats else "fp32"


def _below(found: Graph) -> dict[str, int]:
    """By tensor, the size of the smallest table in which Gather looks up its integers."""
    below: dict[str, int] = {}
    for table, indices in found.looked_up:
        seen: set[str] = set()
        while indices in found.came_from and indices not in seen:
            seen.add(indices)
            indices = found.came_from[indices]
        if size := found.first_sizes.get(table):
            below[indices] = min(size, below.get(indices, size))
    return below
