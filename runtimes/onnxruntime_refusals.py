"""Why ONNX Runtime does not open a file, in plain words, and what helps. What it says itself is a page of C++."""

from __future__ import annotations

import re

# What it says; what that means; what helps. `\N` is the Nth part of what it says.
KNOWN = (
    (
        r"Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)",
        r"it is of opset \1 of \2, and this version reads up to \3",
        r"export it for opset \3 or an older one, or upgrade onnxruntime",
    ),
    (
        r"Unsupported model IR version: (\d+), max supported IR version: (\d+)",
        r"it is of IR version \1, and this version reads up to \2",
        r"upgrade onnxruntime; or write it anew: m = onnx.load(FILE); m.ir_version = \2; onnx.save(m, FILE)",
    ),
    (
        r"Fatal error: ai\.onnx\.contrib:(\S+)\(",
        r"its operator '\1' is of the domain 'ai.onnx.contrib', the library onnxruntime-extensions",
        "edgebench loads no libraries of operators: export the model without its pre- and post-processing",
    ),
    (
        r"Fatal error: (\S+):(\S+)\(",
        r"its operator '\2' is of the domain '\1', which this version does not have",
        "edgebench loads no libraries of operators: export the model with ONNX's own",
    ),
    (
        r"No opset import for domain '(.*?)'",
        r"it has operators of the domain '\1', and names no opset of it",
        "export the model with ONNX's own operators",
    ),
    (
        r"No Op registered for (\S+) with domain_version of (\d+)",
        r"this version has no operator '\1' in opset \2",
        "upgrade onnxruntime, or export the model with ONNX's own operators",
    ),
    (
        r"Could not find an implementation for (\w+)\((\d+)\)",
        r"this version does not compute the operator '\1' of opset \2 with these types",
        "upgrade onnxruntime, or export it for another opset or with float32",
    ),
    (
        r"External initializer: (.*) offset: .* given file_length: (\d+) are out of bounds",
        r"the file with its weights is too short: \2 bytes do not hold '\1'",
        "get both files again, from the same place",
    ),
    (
        r"TensorProto: (.*) external data size mismatch",
        r"it says that '\1' has another size in the file with its weights than it has",
        "export it again, or get the file again",
    ),
)
NOISE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from .*? failed:|(/|tensorproto)\S+\.(cc|h):\d+ ")


def explained(message: str) -> tuple[str, str]:
    """What is wrong, and what helps."""
    for said, means, helps in KNOWN:
        if found := re.search(said, message, re.DOTALL):
            return found.expand(means), found.expand(helps)
    return " ".join(NOISE.sub("", message).split()), "export it again, or upgrade onnxruntime"
