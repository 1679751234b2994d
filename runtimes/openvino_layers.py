"""Reads what a graph became in OpenVINO: how many layers compute in which precision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgebench.specs import Layers, Precision

if TYPE_CHECKING:
    import openvino

PRECISIONS = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}  # as the execution graph writes
NO_LAYERS = {"Input", "Output", "Const", "Reorder", "Convert", "If", "Loop", "TensorIterator"}  # not what is in them


def provider(devices: str) -> str:
    return f"OpenVINO {devices}"


def shared(query: Mapping[str, str], precision: Precision | None) -> list[Layers]:
    """Of a model that two devices share, by the device that takes each operation; the graph does not say who ran it."""
    found = Counter(device.partition(".")[0] for device in query.values())
    return [Layers(precision, provider(device), count) for device, count in found.most_common()]


def read(graph: openvino.Model, provider: str) -> list[Layers]:
    """Of the execution graph of a compiled model."""
    found: Counter[str | None] = Counter()
    for op in graph.get_ops():
        kind, stated, primitive = (
            op.get_rt_info()[name].astype(str) for name in ("layerType", "runtimePrecision", "primitiveType")
        )
        if kind not in NO_LAYERS:
            # "brgconv_avx2_1x1_f32" computes in f32; the stated precision may be that of its weights, which were f16.
            computed = PRECISIONS.get(primitive.rpartition("_")[2].lower())
            found[computed or PRECISIONS.get(stated.lower())] += 1
    return [Layers(precision, provider, count) for precision, count in found.most_common()]
