"""Reads the tables of a .tflite file by LiteRT's schema: its tensors, operators and buffers. Nothing is executed."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import cache
from typing import Any

from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """`buffer`: where its numbers are; 0 if they are computed. `shape`: -1 where it is open. `state`: it is kept from
    request to request."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    buffer: int
    state: bool


@dataclass(frozen=True)
class Node:
    """An operator, with the tensors that it takes and makes; one that is left out is -1."""

    name: str
    takes: tuple[int, ...]
    makes: tuple[int, ...]


def graphs(model: Any, data: mmap.mmap) -> list[tuple[list[Tensor], list[Node]]]:
    """Every subgraph's tensors and operators. Raises ValueError or IndexError where the file is damaged."""
    filled = {i for i in range(count(model.BuffersLength(), data)) if _is_filled(model.Buffers(i), data)}
    operators = [_operator(model.OperatorCodes(i)) for i in range(count(model.OperatorCodesLength(), data))]
    found = [model.Subgraphs(i) for i in range(count(model.SubgraphsLength(), data))]
    if not found:
        raise ValueError("it has no graph")
    return [_graph(one, operators, filled, data) for one in found]


def count(number: int, data: mmap.mmap) -> int:
    """A length that the file states, if the file can be so long."""
    if number > len(data):
        raise ValueError(f"it says that it has {number:,} of something")
    return number


def numbers(table: Any, name: str) -> list[int]:
    return [getattr(table, name)(i) for i in range(count(getattr(table, f"{name}Length")(), table._tab.Bytes))]


def text(found: bytes | None) -> str:
    return (found or b"").decode(errors="replace")


def _is_filled(buffer: Any, data: mmap.mmap) -> bool:
    """Whether it has numbers. Raises ValueError if they are not all in the file."""
    if buffer.Offset() > 1:  # beyond the tables, in files of more than 2 GB
        if buffer.Offset() + buffer.Size() > len(data):
            raise ValueError("the end of its weights is missing")
        return buffer.Size() > 0
    size = buffer.DataLength()
    if size and buffer._tab.Vector(buffer._tab.Offset(4)) + size > len(data):
        raise ValueError("the end of its weights is missing")
    return size > 0


@cache
def _names(of: str) -> dict[int, str]:
    """The schema's names, by their numbers."""
    return {number: name for name, number in vars(getattr(schema, of)).items() if isinstance(number, int)}


def _operator(code: Any) -> str:
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the old field has one byte
    return text(code.CustomCode()) if code.CustomCode() else _names("BuiltinOperator").get(number, f"operator {number}")


def _graph(graph: Any, operators: list[str], filled: set[int], data: mmap.mmap) -> tuple[list[Tensor], list[Node]]:
    tensors = [_tensor(graph.Tensors(i), filled) for i in range(count(graph.TensorsLength(), data))]
    found = [graph.Operators(i) for i in range(count(graph.OperatorsLength(), data))]
    nodes = [Node(operators[o.OpcodeIndex()], tuple(numbers(o, "Inputs")), tuple(numbers(o, "Outputs"))) for o in found]
    for node in nodes:
        if any(not -1 <= i < len(tensors) for i in (*node.takes, *node.makes)):
            raise ValueError(f"{node.name} uses a tensor that there is not")
    return tensors, nodes


def _tensor(tensor: Any, filled: set[int]) -> Tensor:
    shape = numbers(tensor, "Shape" if tensor.ShapeSignatureIsNone() else "ShapeSignature")
    kind = _names("TensorType").get(tensor.Type(), f"type {tensor.Type()}").lower()
    buffer = tensor.Buffer() if tensor.Buffer() in filled else 0
    return Tensor(
        name=text(tensor.Name()), dtype=kind, shape=tuple(shape), buffer=buffer, state=bool(tensor.IsVariable())
    )
