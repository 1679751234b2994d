"""Reads a program that torch.export saved (.pt2) without torch: nothing in it is unpickled, compiled or imported.

Checked in the source of torch 2.13 (export/pt2_archive/_package.py, _export/serde/serialize.py): torch's own loader is
made for files that one trusts. It may unpickle, and it takes more from the file than operators and numbers. So it is
never called here. This reads the graph, which is JSON, and the weights, which are raw bytes; torch_pt2_graph.py
computes with them.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.runtimes.torch_pt2_archive import AGAIN, TYPES, Archive, Stored

from edgebench.errors import BadFile
from edgebench.specs import Foreign, Precision, TensorSpec

PRECISIONS: dict[str, Precision] = {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "float64": "fp32"}
STEERING = ("nonzero", "masked_select", "unique", "cond", "while_loop", "item")
WRAPPED = re.compile(r"Symbol\('(\w+)'[^)]*\)|Integer\((-?\d+)\)")
STATELESS = "call model.eval() before exporting it; make a state an input and an output"
FLAT = "let forward take and return plain tensors, then export it again"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program: its graph as it stands in the JSON; what each input of the graph is, ("weight", NAME) or ("input",
    NAME), or None for a constant; the least and the greatest size, and one that it was exported with, by the name of a
    dimension."""

    graph: dict[str, Any]
    feeds: tuple[tuple[str, str] | None, ...]
    weights: dict[str, Stored]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ranges: dict[str, tuple[int, int | None]]
    usual: dict[str, int]
    version: str


def signature(path: Path) -> Foreign:
    """What the program takes and returns. Raises BadFile for what cannot be read safely, or not be measured."""
    program = read(path)
    targets = [node["target"].split(".") for node in _nodes(program.graph)]
    names = {each[-2] for each in targets if len(each) > 2} | {each[-1] for each in targets}
    quantized = "QDQ" if any("quantized_decomposed" in each for each in targets) else ""
    sizes = Counter[str]()
    for tensor in program.weights.values():
        sizes[tensor.dtype] += _elements(tensor.sizes)
    floats = {kind: count for kind, count in sizes.items() if kind in PRECISIONS}
    precision = PRECISIONS[max(floats, key=floats.__getitem__)] if floats else "fp32"
    return Foreign(
        inputs=program.inputs, outputs=program.outputs, files=(path.name,),
        precision="int8" if quantized else precision, parameters=sum(sizes.values()), tools={"torch": program.version},
        quantized=quantized, steered_by=tuple(name for name in STEERING if name in names), usual=program.usual,
        below=_below(program),
    )  # fmt: skip


def read(path: Path) -> Program:
    """The program in the file. Raises BadFile."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _program(path, archive)
    except BadFile:
        raise
    except Exception as error:  # a damaged file can fail anywhere
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadFile(f"{path} is damaged, or no program of torch.export: {reason}", AGAIN) from None


def _program(path: Path, archive: zipfile.ZipFile) -> Program:
    content = Archive(path, archive)
    told, weights = content.program(), content.tensors()
    graph, signature = told["graph_module"]["graph"], told["graph_module"]["signature"]
    metas, hints = graph["tensor_values"], dict[str, int]()
    feeds, inputs = [], []
    for spec in signature["input_specs"]:
        ((kind, value),) = spec.items()
        if kind == "user_input":
            ((type_, arg),) = value["arg"].items()
            if type_ not in ("as_tensor", "as_none", "as_int", "as_float", "as_bool", "as_string"):
                raise BadFile(f"{path} takes {type_.removeprefix('as_')} as an input", FLAT)
            feeds.append(("input", arg["name"]) if type_ == "as_tensor" else None)
            if type_ == "as_tensor":
                inputs.append(_spec(arg["name"], metas[arg["name"]], hints))
        elif kind in ("parameter", "buffer", "tensor_constant"):
            if (name := value[f"{kind}_name"]) not in weights:
                raise BadFile(f"{path} lacks {name!r}, which its graph needs", AGAIN)
            feeds.append(("weight", name))
        elif kind == "constant_input":
            feeds.append(None)
        else:
            raise BadFile(f"{path} takes a {kind.replace('_', ' ')}, which needs a pickle", FLAT)
    ranges = {name: (each["min_val"] or 0, each["max_val"]) for name, each in told["range_constraints"].items()}
    batch = {spec.shape[0] for spec in inputs if spec.shape}
    usual = {name: hint for name, hint in hints.items() if name not in batch or ranges.get(name, (2, 0))[0] > 1}
    return Program(
        graph=graph, feeds=tuple(feeds), weights=weights, inputs=tuple(inputs), ranges=ranges, usual=usual,
        outputs=tuple(_outputs(path, told["graph_module"], metas)), version=str(told.get("torch_version", "")),
    )  # fmt: skip


def _spec(name: str, meta: dict[str, Any], hints: dict[str, int], called: str = "") -> TensorSpec:
    shape: list[int | str] = []
    for size in meta["sizes"]:
        if "as_int" in size:
            shape.append(int(size["as_int"]))
            continue
        shape.append(WRAPPED.sub(r"\1\2", size["as_expr"]["expr_str"])[:80])
        if hint := size["as_expr"].get("hint"):
            hints[shape[-1]] = int(hint["as_int"])
    return TensorSpec(called or name, TYPES.get(meta["dtype"], f"type {meta['dtype']}"), tuple(shape))


def _outputs(path: Path, module: dict[str, Any], metas: dict[str, Any]) -> Iterator[TensorSpec]:
    tree = json.loads(next(e["signature"]["out_spec"] for e in module["module_call_graph"] if e["fqn"] == ""))[1]
    names = list(_leaves(tree, ""))
    specs = module["signature"]["output_specs"]
    for spec in specs:
        if kind := next((kind for kind in spec if kind != "user_output"), ""):
            what = next(iter(spec.values()))
            what = what.get("buffer_name") or what.get("user_input_name") or what
            raise BadFile(f"{path} changes {what!r} at each call ({kind.replace('_', ' ')})", STATELESS)
    if len(names) != len(specs):
        raise ValueError(f"{len(specs)} outputs, {len(names)} places for them")
    for name, spec in zip(names, specs, strict=True):
        ((type_, arg),) = spec["user_output"]["arg"].items()
        if type_ != "as_tensor":
            what = "nothing (None)" if type_ == "as_none" else f"no tensor ({type_.removeprefix('as_')})"
            raise BadFile(f"{path}: the output {name!r} is {what}", FLAT)
        yield _spec(arg["name"], metas[arg["name"]], {}, name)


def _leaves(tree: dict[str, Any], at: str) -> Iterator[str]:
    """The names of a tree's leaves: by keys and places, such as "boxes_0"; "output" where it is one tensor."""
    if tree["type"] is None:
        yield at or "output"
        return
    keys = json.loads(tree["context"]) if tree["type"] in ("builtins.dict", "collections.OrderedDict") else None
    for i, child in enumerate(tree["children_spec"]):
        name = str(keys[i]) if isinstance(keys, list) else str(i)
        yield from _leaves(child, f"{at}_{name}" if at else name if keys else f"output_{i}")


def _below(program: Program) -> dict[str, int]:
    """By input, the size of the smallest table in which it is looked up."""
    inputs, below = {spec.name for spec in program.inputs}, dict[str, int]()
    for node in program.graph["nodes"]:
        if node["target"] == "torch.ops.aten.embedding.default":
            table, name = (each["arg"]["as_tensor"]["name"] for each in node["inputs"][:2])
            if name in inputs:
                rows = int(program.graph["tensor_values"][table]["sizes"][0]["as_int"])
                below[name] = min(rows, below.get(name, rows))
    return below


def _nodes(graph: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a graph and of the graphs in it."""
    for node in graph["nodes"]:
        yield node
        for each in node["inputs"]:
            if inner := each["arg"].get("as_graph"):
                yield from _nodes(inner["graph"])


def _elements(sizes: tuple[int, ...]) -> int:
    count = 1
    for size in sizes:
        count *= size
    return count
