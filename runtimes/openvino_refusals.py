"""Why OpenVINO does not take a model of somebody else's, in a line. What it says itself is a page of C++."""

from __future__ import annotations

from edgebench.errors import Unsupported
from edgebench.specs import Artifact

# By the format of a file, who else opens it.
ELSE = {"onnx": "--runtime onnxruntime", "tflite": "--runtime litert"}


def unsupported(what: str, error: RuntimeError, format: str) -> Unsupported:
    """Why it does not `read` or `compile` an adopted model: the last line, after what led to it."""
    import openvino

    why = [line for line in str(error).splitlines() if line.strip()][-1]
    message = f"OpenVINO {openvino.__version__} does not {what} this model: {why}"
    return Unsupported(message, ", or ".join(filter(None, (ELSE.get(format), "a newer openvino"))))


def precision(wanted: str, chosen: str, artifact: Artifact, device: str) -> Unsupported:
    """It computes in another precision than the artifact's: what was exported can be exported in fp32."""
    fix = ELSE.get(artifact.format, "a file in fp32")
    if artifact.source:
        fix = "`edgebench export … --target openvino --precision fp32`"
    return Unsupported(f"{device} does not run {wanted} here: it chose {chosen}", fix)
