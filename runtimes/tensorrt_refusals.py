"""Why NVIDIA's ONNX parser refuses a node, in plain words, and what helps; for TensorRT and TensorRT-RTX."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebench.records.linted import LintFinding

OTHERWISE = "export it without this operator, or let another runtime run the model"
# What it says; what that means; what helps.
KNOWN = (
    (
        r"shiftIsAllZeros|[Zz]ero point is not supported|symmetric quantization",
        "its zero point is not 0, and the GPU quantizes around 0 alone",
        "export an int8 artifact of edgebench with --target trt, which takes the zero points away; or quantize "
        "symmetrically",
    ),
    (
        r"unsupported datatype|convertDtype|convertOnnxWeights|Found unsupported datatype",
        "it has tensors of a type that TensorRT lacks",
        "export the model with float32, float16, bfloat16, int8, int32, int64 or bool",
    ),
    (
        r"first input has type UInt8",
        "it computes with bytes: TensorRT takes uint8 from outside, and does nothing with it but cast it",
        "cast right after the input, as `edgebench export --input uint8` does",
    ),
    (
        r"must have same input types|has type \w+ but",
        "its inputs are of different types, and a strongly typed network converts none",
        "add a Cast, or export it anew in one precision",
    ),
    (r"Node input was not registered", "it reads a tensor that nothing before it makes", "export the model again"),
    (
        r"[Pp]lugin not found|not found in plugin registry|No importer registered",
        "it is no operator of ONNX that the parser knows, and there is no plug-in of that name",
        OTHERWISE,
    ),
)


def finding(error: Any, log: list[str]) -> LintFinding:
    """What a ParserError says; `log`: what the parser said beside it."""
    operator, said = error.node_operator(), " ".join(error.desc().split())
    told = " ".join([said, *log])
    reason, fix = next(((means, helps) for pattern, means, helps in KNOWN if re.search(pattern, told)), ("", OTHERWISE))
    if said == "false":  # all that it says of an operator of which it knows the name alone
        said, reason = "", reason or "the parser does not take this operator"
    words = f"{reason} ({said})" if reason and said else reason or said
    return LintFinding(kind="refused", reason=words, fix=fix, node=error.node_name(), operator=operator)


def placed(found: LintFinding, error: Any, path: Path) -> LintFinding:
    """The finding with its operator, and its node if that is the only one: some errors name the importer alone."""
    importer = re.fullmatch(r"import([A-Z]\w*)", error.func())
    if found.operator or not importer:
        return found
    from edgebench.linting.onnx_nodes import Nodes

    nodes = list(Nodes(path).of(importer[1]))  # none, if it imports something else than a node
    if not nodes:
        return found
    return replace(found, operator=importer[1], node=nodes[0].name if len(nodes) == 1 else "")
