"""Why OpenVINO does not take a model of somebody else's, in a line. What it says itself is a page of C++."""

from __future__ import annotations

from edgebench.errors import Unsupported


def unsupported(what: str, error: RuntimeError) -> Unsupported:
    """Why it does not `read` or `compile` an adopted model: the last line, after what led to it."""
    import openvino

    why = [line for line in str(error).splitlines() if line.strip()][-1]
    message = f"OpenVINO {openvino.__version__} does not {what} this model: {why}"
    return Unsupported(message, "another --runtime, or a newer openvino")
