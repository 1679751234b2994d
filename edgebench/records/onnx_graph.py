"""Collects what an ONNX file holds: its inputs and outputs, operators and weights. Nothing in it is executed."""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgebench.records.onnx_walk import DEEPEST, NUMBER, fields, varint

PASSED_ON = {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten"}  # integers stay what they are


@dataclass(kw_only=True)
class Graph:
    """What is collected of a model.

    `inputs`, `outputs`: where their records begin and end. `weights`: how many elements of initializers and constants
    are of each type, in onnx.proto's numbers; `first_sizes`: by their names, the size of the first dimension.
    `looked_up`: the table and the indices of each Gather; `came_from`: the tensor that another has its integers from.
    `told`: what the file says of itself.
    """

    inputs: list[tuple[int, int]] = field(default_factory=list)
    outputs: list[tuple[int, int]] = field(default_factory=list)
    operators: Counter[str] = field(default_factory=Counter)
    weights: Counter[int] = field(default_factory=Counter)
    first_sizes: dict[str, int] = field(default_factory=dict)
    looked_up: list[tuple[str, str]] = field(default_factory=list)
    came_from: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)


def collected(data: mmap.mmap) -> Graph:
    """What the file holds. Raises ValueError or IndexError where it is damaged."""
    found = Graph()
    opsets, graphs = {}, 0
    for number, begin, stop in fields(data, 0, len(data)):
        if number == 1 and stop == NUMBER:
            found.told["IR"] = str(begin)
        elif number == 2 and stop != NUMBER:
            found.told["producer"] = text(data, begin, stop)
        elif number == 8:
            parts = {n: a if b == NUMBER else text(data, a, b) for n, a, b in fields(data, begin, stop)}
            opsets[parts.get(1) or "ai.onnx"] = parts.get(2)
        elif number == 7:
            graphs += 1
            _graph(data, begin, stop, found, 0)
    if not (graphs and opsets):
        raise ValueError("it has no graph" if opsets else "it names no opset")
    found.told["opset"] = ", ".join(
        f"{version}" if name == "ai.onnx" else f"{name} {version}" for name, version in opsets.items()
    )
    return found


def _graph(data: mmap.mmap, start: int, end: int, found: Graph, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"its graphs are nested more than {DEEPEST} deep")
    for number, begin, stop in fields(data, start, end):
        if number == 1:
            _node(data, begin, stop, found, depth)
        elif number == 5:
            _weights(data, begin, stop, found)
        elif number == 11 and not depth:
            found.inputs.append((begin, stop))
        elif number == 12 and not depth:
            found.outputs.append((begin, stop))


def _node(data: mmap.mmap, start: int, end: int, found: Graph, depth: int) -> None:
    inputs, outputs, kind, constant = [], [], "", None
    for number, begin, stop in fields(data, start, end):
        if number == 5:
            for inner, a, b in fields(data, begin, stop):
                if inner in (6, 11):
                    _graph(data, a, b, found, depth + 1)
                elif inner == 5:
                    constant = a, b
        elif number in (1, 2):
            (inputs if number == 1 else outputs).append(text(data, begin, stop))
        elif number == 4:
            kind = text(data, begin, stop)
    found.operators[kind] += 1
    if kind == "Constant" and constant and outputs:
        _weights(data, *constant, found, outputs[0])
    elif kind == "Gather" and len(inputs) > 1:
        found.looked_up.append((inputs[0], inputs[1]))
    elif kind in PASSED_ON and inputs and outputs:
        found.came_from[outputs[0]] = inputs[0]


def _weights(data: mmap.mmap, start: int, end: int, found: Graph, name: str = "") -> None:
    """Count an initializer's elements, or a constant's, by type."""
    sizes, kind = [], 0
    for number, begin, stop in fields(data, start, end):
        if number == 1:
            sizes += numbers(data, begin, stop)
        elif number == 2 and stop == NUMBER:
            kind = begin
        elif number == 8 and stop != NUMBER:
            name = name or text(data, begin, stop)
    found.weights[kind] += math.prod(sizes)
    found.first_sizes[name] = sizes[0] if sizes else 0


def numbers(data: mmap.mmap, begin: int, stop: int) -> Iterator[int]:
    """One number, or the numbers that are packed into this field."""
    if stop == NUMBER:
        yield begin
        return
    while begin < stop:
        value, begin = varint(data, begin, stop)
        yield value


def text(data: mmap.mmap, begin: int, stop: int) -> str:
    """The text there; what is not UTF-8 is replaced."""
    return bytes(data[begin:stop]).decode(errors="replace")
