"""Puts normalisation and layout into an ONNX graph, so that it takes a camera's bytes; for the ONNX exporter."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgebench.specs import Preprocessing, TensorSpec


def take_pixels(model: onnx.ModelProto, spec: Preprocessing) -> tuple[onnx.ModelProto, TensorSpec]:
    """The model with an input of uint8 (batch, h, w, 3) instead of normalised float32 (batch, 3, h, w), and that input.

    (x / 255 − mean) / std becomes one product and one sum. The cast comes first: TensorRT takes bytes from outside, but
    neither transposes nor computes with them.
    """
    graph = model.graph
    (old,) = graph.input
    batch, name, inner = old.type.tensor_type.shape.dim[0].dim_param or "batch", old.name, f"{old.name}_normalised"
    for node in graph.node:
        node.input[:] = [inner if used == name else used for used in node.input]
    mean, std = np.float64(spec.mean), np.float64(spec.std)
    constants = {"pixel_scale": 1 / (255 * std), "pixel_shift": -mean / std}
    for constant, values in constants.items():
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32).reshape(1, 3, 1, 1), constant))
    steps = [
        helper.make_node("Cast", [name], ["pixels_float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels_float"], ["pixels_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["pixels_nchw", "pixel_scale"], ["pixels_scaled"]),
        helper.make_node("Add", ["pixels_scaled", "pixel_shift"], [inner]),
    ]
    nodes = [*steps, *graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    shape = (batch, spec.height, spec.width, 3)
    graph.input.append(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))
    return model, TensorSpec(name, "uint8", ("batch", *shape[1:]))
