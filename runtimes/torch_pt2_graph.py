"""Computes what a program of torch.export says, operator by operator: those of its own list, and nothing else."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from edgebench.runtimes import torch_pt2
from edgebench.runtimes import torch_pt2_operators as operators
from edgebench.runtimes.torch_pt2 import FLAT, STATELESS, Program
from edgebench.runtimes.torch_pt2_archive import AGAIN, TYPES, tensor
from torch import nn

from edgebench.errors import BadFile, EdgebenchError
from edgebench.specs import TensorSpec

FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format}
LITERALS = ("as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats", "as_bools", "as_strings")

Values = dict[str, Any]
Getter = Callable[[Values], Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A call: its arguments from the values so far, where its results go, and which values nobody needs afterwards."""

    call: Callable[..., Any]
    arguments: tuple[Getter, ...]
    named: dict[str, Getter]
    results: tuple[Any, ...]
    done: tuple[str, ...]


class Graph(nn.Module):
    """The program as a module: tensors in, a tuple of tensors out."""

    def __init__(self, program: Program, weights: dict[str, torch.Tensor], path: Path) -> None:
        super().__init__()
        self._path, self._writes = path, False
        self._places = {name: f"weight_{i}" for i, name in enumerate(weights)}
        for name, weight in weights.items():
            self.register_buffer(self._places[name], weight)
        placeholders = [next(iter(each.values())) for each in program.graph["inputs"]]
        names = [each["name"] if isinstance(each, dict) and "name" in each else "" for each in placeholders]
        fed = [(name, *feed) for name, feed in zip(names, program.feeds, strict=True) if feed]
        self._given = [name for name, kind, _ in fed if kind == "input"]
        self._own = [(name, self._places[weight]) for name, kind, weight in fed if kind == "weight"]
        self._fixed = {name for name, _ in self._own}
        self._steps, self._results = self._compiled(program.graph)

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values: Values = {name: getattr(self, place) for name, place in self._own}
        # An operator may write into what it is given, and that is the caller's.
        values |= zip(self._given, (each.clone() for each in given) if self._writes else given, strict=True)
        return _run(self._steps, self._results, values)

    def _compiled(self, graph: dict[str, Any]) -> tuple[list[Step], list[Getter]]:
        used: set[str] = set()
        results = [self._getter(each, used) for each in graph["outputs"]]
        steps: list[Step] = []
        for node in reversed(graph["nodes"]):
            step, before = self._step(node), set(used)
            arguments, named, call = step
            getters = tuple(self._getter(each, used) for each in arguments)
            keyed = {key: self._getter(each, used) for key, each in named.items()}
            made = tuple(map(_result, node["outputs"]))
            steps.append(Step(call=call, arguments=getters, named=keyed, results=made, done=tuple(used - before)))
        return steps[::-1], results

    def _step(self, node: dict[str, Any]) -> tuple[list[Any], dict[str, Any], Callable[..., Any]]:
        target, arguments, named = node["target"], [], {}
        if target == "torch.ops.higher_order.wrap_with_set_grad_enabled":  # no gradients here in any case
            return [each["arg"] for each in node["inputs"][1:]], {}, lambda graph, *given: graph(*given)
        if target == "torch.ops.higher_order.cond":
            return [each["arg"] for each in node["inputs"]], {}, _either
        call, written = operators.find(self._path, target)
        self._writes |= bool(written)
        for each in node["inputs"]:
            if each["name"] in written and each["arg"].get("as_tensor", {}).get("name") in self._fixed:
                raise BadFile(f"{self._path} changes its weights at each call ({target})", STATELESS)
        for each in node["inputs"]:
            if each.get("kind") == 2 or (each.get("kind") is None and named):
                named[each["name"]] = each["arg"]
            else:
                arguments.append(each["arg"])
        return arguments, named, call

    def _getter(self, argument: dict[str, Any], used: set[str]) -> Getter:
        ((kind, value),) = argument.items()
        if kind in LITERALS:
            return lambda values: value
        if kind == "as_none":
            return lambda values: None
        if kind == "as_tensor" or (kind.startswith("as_sym_") and isinstance(value, dict)):
            name = value.get("name") or value.get("as_name")
            if name is None:
                number = next(iter(value.values()))
                return lambda values: number
            used.add(name)
            return operator.itemgetter(name)
        if kind in ("as_tensors", "as_sym_ints", "as_sym_floats", "as_sym_bools", "as_optional_tensors"):
            wrap = {"as_tensors": "as_tensor", "as_optional_tensors": None}.get(kind, kind[:-1])
            each = [self._getter({wrap: item} if wrap else item, used) for item in value]
            return lambda values: [get(values) for get in each]
        if kind == "as_scalar_type":
            dtype = getattr(torch, TYPES[value])
            return lambda values: dtype
        if kind == "as_memory_format":
            return lambda values: FORMATS[value]
        if kind == "as_layout":
            return lambda values: torch.strided
        if kind == "as_device":  # the program computes where its weights are
            return lambda values: self._device()
        if kind == "as_graph":
            steps, results = self._compiled(value["graph"])
            names = [each["as_tensor"]["name"] for each in value["graph"]["inputs"]]
            return lambda values: lambda *given: _run(steps, results, dict(zip(names, given, strict=True)))
        raise BadFile(f"{self._path} uses {kind.removeprefix('as_')} in its graph", FLAT)

    def _device(self) -> torch.device:
        return next((each.device for each in self.buffers()), torch.device("cpu"))


def _either(condition: Any, first: Callable[..., Any], second: Callable[..., Any], given: list[Any]) -> Any:
    return (first if condition else second)(*given)


def _result(output: dict[str, Any]) -> Any:
    """Where a result goes: a name, a list of names, or nowhere."""
    ((kind, value),) = output.items()
    if kind in ("as_tensors", "as_optional_tensors"):
        items = value if kind == "as_tensors" else [item.get("as_tensor", {}) for item in value]
        return [item.get("name") for item in items]
    return None if kind == "as_none" else value.get("name") or value.get("as_name")


def _run(steps: list[Step], results: list[Getter], values: Values) -> tuple[Any, ...]:
    for step in steps:
        made = step.call(
            *(get(values) for get in step.arguments), **{key: get(values) for key, get in step.named.items()}
        )
        places = step.results
        if len(places) == 1 and (isinstance(places[0], list) or not isinstance(made, (tuple, list))):
            made = (made,)
        for place, value in zip(places, made if places else (), strict=True):
            if isinstance(place, list):
                values |= {name: item for name, item in zip(place, value, strict=True) if name}
            elif place:
                values[place] = value
        for name in step.done:
            values.pop(name, None)
    return tuple(get(values) for get in results)


def load(path: Path, inputs: Sequence[TensorSpec]) -> Graph:
    """The program in the file for inputs of these sizes, with its weights, which stay in the file until needed.

    Raises BadFile for a file that cannot be opened, EdgebenchError for sizes that the program was not exported for.
    """
    program = torch_pt2.read(path)
    for spec in inputs:
        for name, size in zip(spec.shape, spec.sizes or (), strict=False):
            least, most = program.ranges.get(str(name), (0, None))
            if size < least or (most is not None and size > most):
                told = f"at least {least}" if most is None else f"{least} to {most}"
                raise EdgebenchError(f"{spec.name!r} has {size} where the program takes {told}", "other sizes: --shape")
    try:
        fed = {feed[1] for feed in program.feeds if feed and feed[0] == "weight"}
        weights = {name: tensor(path, stored) for name, stored in program.weights.items() if name in fed}
        return Graph(program, weights, path).eval()
    except EdgebenchError:
        raise
    except Exception as error:  # a damaged file can fail anywhere
        raise BadFile(f"{path} cannot be opened: {type(error).__name__}: {error}", AGAIN) from None
