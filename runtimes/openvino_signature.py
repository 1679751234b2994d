"""Reads what an OpenVINO IR takes and returns, and how it is quantized, with OpenVINO's own reader."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import openvino

from edgebench.errors import BadFile
from edgebench.specs import ANY_RANK, Foreign, TensorSpec

# openvino.Type's names, by numpy's. The others have no type in numpy.
TYPES = {
    "f32": "float32", "f16": "float16", "f64": "float64", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64", "boolean": "bool",
}  # fmt: skip
FLOATS, BYTES = {"f64", "f32", "f16", "bf16"}, {"i8", "u8", "i4", "u4", "nf4", "f8e4m3", "f8e5m2"}
STEERING = {"If", "Loop", "NonMaxSuppression", "MatrixNms", "MulticlassNms", "NonZero", "Unique", "DetectionOutput"}
VERSIONS = (10, 11)  # of IR, that OpenVINO reads since 2020; 2022.1 made 11
HEAD = 4096


def read(path: Path) -> Foreign:
    """The signature of the file. Raises BadFile for what cannot be measured, with the reason."""
    version = _version(path)
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise BadFile(f"{weights}, where {path.name} keeps weights, is missing", "copy it beside the model")
    try:
        model = openvino.Core().read_model(str(path), str(weights))
    except RuntimeError as error:
        why = [line for line in str(error).splitlines() if line.strip()][-1]
        fix = "get both files again, or upgrade openvino"
        raise BadFile(f"OpenVINO {openvino.__version__} does not read {path}: {why}", fix) from None
    constants = Counter()
    operators = Counter(node.get_type_name() for node in model.get_ops())
    for node in model.get_ops():
        if node.get_type_name() == "Constant":
            constants[node.get_element_type().get_type_name()] += math.prod(node.get_output_shape(0))
    outputs = _specs("output", model.outputs)
    if not outputs:
        raise BadFile(f"{path} has no output", "convert the model again")
    return Foreign(
        inputs=_specs("input", model.inputs), outputs=outputs, files=(path.name, weights.name),
        precision="int8" if operators["FakeQuantize"] else "fp32",  # what its floats are computed in
        parameters=sum(count for kind, count in constants.items() if kind in FLOATS | BYTES),
        tools={"IR": str(version), **_told(model)}, quantized=_quantized(operators, constants),
        steered_by=tuple(sorted(STEERING & set(operators))),
        stateful=operators["ReadValue"] > 0,
    )  # fmt: skip


def _version(path: Path) -> int:
    """The version of the IR. OpenVINO would try all that it knows on a file that is something else."""
    with path.open("rb") as file:
        head = file.read(HEAD).decode("utf-8", errors="replace")
    net = re.match(r"\ufeff?\s*(<\?xml[^>]*\?>\s*)?(<!--(?:(?!-->).)*-->\s*)*<net\b([^>]*)>", head, re.DOTALL)
    version = re.search(r"\bversion\s*=\s*[\"'](\d{1,4})[\"']", net[3]) if net else None
    if version is None:
        raise BadFile(f"{path} is not an OpenVINO IR: it does not begin as one", "name the .xml of a model")
    if (number := int(version[1])) not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        fix = "upgrade openvino and edgebench" if number > max(VERSIONS) else "convert the original model once more"
        raise BadFile(f"{path} is an IR of version {number}; OpenVINO reads {known}", fix)
    return number


def _specs(side: str, tensors: Sequence[openvino.Output]) -> tuple[TensorSpec, ...]:
    """By the first of their names in the alphabet; one without a name is called by its number."""
    found: list[TensorSpec] = []
    for i, tensor in enumerate(tensors):
        name = min(tensor.names - {spec.name for spec in found}, default=f"{side}_{i}")
        kind = tensor.get_element_type().get_type_name()
        found.append(TensorSpec(name, TYPES.get(kind, kind), _shape(name, tensor.partial_shape)))
    return tuple(found)


def _shape(name: str, shape: openvino.PartialShape) -> tuple[int | str, ...]:
    if shape.rank.is_dynamic:
        return (ANY_RANK,)
    return tuple(d.get_length() if d.is_static else f"{name}:{i}{_bounds(d)}" for i, d in enumerate(shape))


def _bounds(size: openvino.Dimension) -> str:
    """Of a dimension that may not have any size: "[1..64]"."""
    low, high = size.min_length, size.max_length
    return f"[{low}..{high if high >= 0 else ''}]" if low > 0 or high >= 0 else ""


def _quantized(operators: Counter[str], constants: Counter[str]) -> str:
    if operators["FakeQuantize"]:
        return "FakeQuantize"
    if any(constants[kind] for kind in BYTES) and operators["Multiply"]:  # else they are tables
        return "weights"
    return "fp16 weights" if constants["f16"] > constants["f32"] else ""


def _told(model: openvino.Model) -> dict[str, str]:
    """The version that wrote the file; one that says nothing of it has no such entry."""
    for place in ("OpenVINO Runtime", "Runtime_version", "MO_version"):
        if model.has_rt_info([place]):
            return {"made by OpenVINO": model.get_rt_info([place]).astype(str).split("-")[0]}
    return {}
