"""What TensorRT's ONNX parser asks of QuantizeLinear and DequantizeLinear (onnx-tensorrt, QuantDequantLinearHelper)."""

from __future__ import annotations

import onnx
from onnx import numpy_helper


def unreadable(node: onnx.NodeProto, graph: onnx.GraphProto) -> str:
    """Why the parser refuses such a node; empty for any other and for one that it takes.

    It takes uint8 for int8 with a warning, and what is above 127 is then cut off: here that is refused as well.
    """
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3:
        return ""
    zeros = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}.get(node.input[2])
    if zeros is None:
        return "The zero point is computed."
    if zeros.any():
        return (
            "Assertion failed: shiftIsAllZeros(zeroPoint): TensorRT only supports symmetric quantization. The zero "
            "point for the QuantizeLinear/DequantizeLinear operator must be all zeros."
        )
    return "" if zeros.dtype == "int8" else "TensorRT doesn't support UINT8 zero_point. TensorRT will use INT8 instead."
