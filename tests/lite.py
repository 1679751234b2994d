"""Small .tflite files, built from LiteRT's own schema: open sizes, odd names, bytes, and operators that nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from conftest import needed

flatbuffers = needed("flatbuffers", "edgebench[litert]")
schema = needed("ai_edge_litert.schema_py_generated", "edgebench[litert]")
TYPES, OPERATORS = schema.TensorType, schema.BuiltinOperator


def tensor(
    name: str, shape: Sequence[int], kind: int = TYPES.FLOAT32, *, data: np.ndarray | None = None, scale: float = 0.0
) -> Any:
    """A tensor; -1 is an open size. `data`: a weight's numbers. `scale`: of bytes, around zero."""
    made = schema.TensorT()
    made.name, made.type, made.data = name.encode("latin-1"), kind, data
    made.shape = [max(size, 1) for size in shape]
    made.shapeSignature = list(shape) if -1 in shape else None
    if scale:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [scale], [0]
    return made


def weight(name: str, data: np.ndarray, kind: int = TYPES.FLOAT32, **told: Any) -> Any:
    return tensor(name, data.shape, kind, data=data, **told)


def node(kind: int | str, takes: Sequence[int], makes: Sequence[int], options: tuple[str, Any] | None = None) -> Any:
    """An operator over tensors by their places; a text is the name of a custom one."""
    made = schema.OperatorT()
    made.inputs, made.outputs, made.kind = list(takes), list(makes), kind
    if options:
        name, made.builtinOptions = options
        made.builtinOptionsType = getattr(schema.BuiltinOptions, name)
    return made


def write(
    path: Path, tensors: Sequence[Any], nodes: Sequence[Any], inputs: Sequence[int], outputs: Sequence[int]
) -> Path:
    """A file with one graph."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description, model.buffers, model.operatorCodes = 3, b"by hand", [schema.BufferT()], []
    for one in tensors:
        if one.data is not None:
            one.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(one.data.tobytes(), np.uint8)
    for i, one in enumerate(nodes):
        code = schema.OperatorCodeT()
        custom = isinstance(one.kind, str)
        code.builtinCode, code.version = (OPERATORS.CUSTOM if custom else one.kind), 1
        code.deprecatedBuiltinCode, code.customCode = code.builtinCode, one.kind.encode() if custom else None
        model.operatorCodes.append(code)
        one.opcodeIndex = i
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [*tensors], [*nodes], [*inputs], [*outputs]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(builder.Output()))
    return path


def scores(path: Path, rows: int = -1) -> Path:
    """Rows of four numbers to three scores each, and the place of the best."""
    tensors = [
        tensor("rows", (rows, 4)), weight("w", np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)),
        tensor("scores", (rows, 3)), weight("axis", np.array([1], np.int32), TYPES.INT32),
        tensor("best", (rows,), TYPES.INT64),
    ]  # fmt: skip
    best = schema.ArgMaxOptionsT()
    best.outputType = TYPES.INT64
    nodes = [
        node(OPERATORS.FULLY_CONNECTED, (0, 1, -1), (2,), ("FullyConnectedOptions", schema.FullyConnectedOptionsT())),
        node(OPERATORS.ARG_MAX, (2, 3), (4,), ("ArgMaxOptions", best)),
    ]
    return write(path, tensors, nodes, (0,), (2, 4))


def odd(path: Path) -> Path:
    """Two inputs of one name and one without, to their sum, whose name is no UTF-8, and an output without a name."""
    tensors = [tensor(name, (2,)) for name in ("a/b c", "a/b c", "", "s\xfcm", "")]
    nodes = [
        node(OPERATORS.SUB, takes, makes, ("SubOptions", schema.SubOptionsT()))
        for takes, makes in (((0, 1), (3,)), ((3, 2), (4,)))
    ]
    return write(path, tensors, nodes, (0, 1, 2), (3, 4))


def integer(path: Path) -> Path:
    """Bytes to bytes, by weights that are bytes."""
    table = np.random.default_rng(0).integers(-100, 100, (3, 4)).astype(np.int8)
    tensors = [
        tensor("bytes", (1, 4), TYPES.INT8, scale=0.05), weight("w", table, TYPES.INT8, scale=0.01),
        tensor("answer", (1, 3), TYPES.INT8, scale=0.1),
    ]  # fmt: skip
    full = node(OPERATORS.FULLY_CONNECTED, (0, 1, -1), (2,), ("FullyConnectedOptions", schema.FullyConnectedOptionsT()))
    return write(path, tensors, [full], (0,), (2,))


def custom(path: Path, name: str = "FlexFancy") -> Path:
    """An operator that no runtime here has."""
    return write(path, [tensor("in", (1,)), tensor("out", (1,))], [node(name, (0,), (1,))], (0,), (1,))


def words(path: Path) -> Path:
    """Indices into a table of seven rows."""
    table = np.arange(21, dtype=np.float32).reshape(7, 3)
    tensors = [tensor("ids", (1, 5), TYPES.INT32), weight("table", table), tensor("rows", (1, 5, 3))]
    found = node(OPERATORS.GATHER, (1, 0), (2,), ("GatherOptions", schema.GatherOptionsT()))
    return write(path, tensors, [found], (0,), (2,))


def counting(path: Path) -> Path:
    """An answer from a state that is kept: a filter that goes on where it was."""
    state = tensor("kept", (1, 8))
    state.isVariable = True
    ones = np.ones((2, 4), np.float32)
    tensors = [
        tensor("in", (1, 4)), weight("feature", ones), weight("time", np.ones((2, 4), np.float32)), state,
        tensor("state", (1, 2)),
    ]  # fmt: skip
    options = schema.SVDFOptionsT()
    options.rank = 1
    return write(path, tensors, [node(OPERATORS.SVDF, (0, 1, 2, -1, 3), (4,), ("SVDFOptions", options))], (0,), (4,))
