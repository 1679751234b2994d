"""Quantized ONNX with zero points → the same with all of them 0, which is all that TensorRT reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgebench.errors import Unsupported
from edgebench.exporting import onnx_weights

QDQ = ("QuantizeLinear", "DequantizeLinear")


def read(path: Path) -> onnx.ModelProto:
    """The model of an ONNX file, with weights beside it included, with its activations in int8 around zero.

    TensorRT's parser refuses a zero point that is not 0. It reads uint8 as int8 without a change of the scale, which
    would cut off the upper half of what follows a ReLU. Ranges keep their width, so that a range on one side of zero
    has seven bits left. Raises Unsupported if a scale is computed, or weights have a zero point.
    """
    model = onnx_weights.load(path)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    made: dict[tuple[str, str], list[str]] = {}
    retyped: set[str] = set()
    numbers: dict[str, onnx.TensorProto] = {}
    for node in model.graph.node:
        if node.op_type not in QDQ:
            continue
        data, scale_name, zero_name = (*node.input, "")[:3]
        if scale_name not in constants or (zero_name and zero_name not in constants):
            raise Unsupported(f"{node.name!r} computes its scale, which TensorRT does not read", "another quantizer")
        scale = numpy_helper.to_array(constants[scale_name])
        zero = numpy_helper.to_array(constants[zero_name]) if zero_name else np.uint8(0)  # ONNX's default
        if zero.dtype == np.int8 and not zero.any():
            continue
        if data in constants and not constants[data].dims:  # a number, such as the 3 of a hard-swish
            number = scale * (numpy_helper.to_array(constants[data]).astype(np.float32) - zero)
            numbers[node.output[0]] = numpy_helper.from_array(number.astype(scale.dtype), node.output[0])
            continue
        if data in constants:
            raise Unsupported(f"the weights of {node.name!r} have a zero point", "quantize weights symmetrically")
        key = scale_name, zero_name
        if key not in made:
            made[key] = [f"{scale_name}.symmetric", f"{scale_name}.zero"]
            tensors = _widened(scale, zero), np.zeros(scale.shape, np.int8)
            model.graph.initializer.extend(map(numpy_helper.from_array, tensors, made[key]))
        node.input[:] = [data, *made[key]]
        retyped |= {data, *node.output}
    if numbers:
        left = [node for node in model.graph.node if node.output[0] not in numbers]
        del model.graph.node[:]
        model.graph.node.extend(left)
        model.graph.initializer.extend(numbers.values())
    keep = [value for value in model.graph.value_info if value.name not in retyped]
    del model.graph.value_info[:]
    model.graph.value_info.extend(keep)
    return model


def _widened(scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """The scale of the narrowest symmetric range that holds the range of this one."""
    limits = np.iinfo(zero.dtype)
    below, above = zero.astype(np.float64) - limits.min, limits.max - zero.astype(np.float64)
    return (scale * np.maximum(below / 128, above / 127)).astype(scale.dtype)
