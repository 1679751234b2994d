"""The precision of each layer of a TensorRT plan, from the JSON of TensorRT's engine inspector."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from edgebench.specs import Layers, Precision

# Copies, conversions and constants, and how streams wait for each other.
NO_LAYERS = {"reformat", "shuffle", "constant", "noop", "signal", "wait"}
# With an execution context set it tells "Channel major FP16 format where channel % 8 == 0", without one "Half".
WORDS: dict[str, Precision] = {
    "fp32": "fp32", "float": "fp32", "fp16": "fp16", "half": "fp16", "bf16": "bf16", "bfloat16": "bf16", "int8": "int8",
}  # fmt: skip


def layers(told: str, provider: str) -> list[Layers]:
    """How many layers compute in each precision: that of the first tensor of numbers that they read.

    Empty if the plan gives only names, as without detailed profiling. Layers that remain of Q and DQ only convert, so
    they do not count (their origin is QDQ).
    """
    try:
        found = json.loads(told)
    except ValueError:
        return []
    told_of = found.get("Layers") if isinstance(found, dict) else None
    if not isinstance(told_of, list) or not all(isinstance(layer, dict) for layer in told_of):
        return []
    counted = [layer for layer in told_of if _computes(layer)]
    return [Layers(p, provider, count) for p, count in Counter(map(_precision, counted)).most_common()]


def _computes(layer: dict[str, Any]) -> bool:
    return str(layer.get("LayerType")).lower() not in NO_LAYERS and layer.get("Origin") not in ("REFORMAT", "QDQ")


def _precision(layer: dict[str, Any]) -> Precision | None:
    read = layer.get("Inputs")
    tensors = [tensor for tensor in read if isinstance(tensor, dict)] if isinstance(read, list) else []
    kinds = (tensor.get("Format/Datatype") or tensor.get("Datatype") for tensor in tensors)
    words = (word for kind in kinds for word in re.findall(r"\w+", str(kind).lower()))
    return next((WORDS[word] for word in words if word in WORDS), None)
