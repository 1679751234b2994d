"""ONNX in fp32 → ONNX in fp16 or int8, for the ONNX exporter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError
from edgebench.exporting import onnx_weights, quantize
from edgebench.specs import Artifact, ExportOptions


def lowered(source: Artifact, options: ExportOptions) -> tuple[onnx.ModelProto, dict[str, str], tuple[str, ...]]:
    """The model of an fp32 ONNX artifact in `options.precision`, the tools that made it, and what of int8 was left in
    floating point; inputs stay float32."""
    model = onnx_weights.load(model_file(source, ".onnx"))
    if options.precision == "fp16":
        return _fp16(model, source), {"onnxruntime": onnxruntime.__version__}, ()
    import nncf
    from edgebench.exporters import onnx_qdq

    # Attention has a softmax before a matrix product; a convolutional network may end with one.
    shares = {node.output[0] for node in model.graph.node if node.op_type == "Softmax"}
    transformer = any(node.op_type == "MatMul" and shares & {*node.input} for node in model.graph.node)
    fp32 = onnx.ModelProto()
    fp32.CopyFrom(model)
    made, in_float = quantize.quantize(model, source, options, transformer=transformer, opened=_opened, one_scale=True)
    if source.adopted:
        quantize.check_done(source, [node.op_type for node in made.graph.node])
    onnx_qdq.finished(made, fp32, quantize.requests(source, options))
    return made, {"nncf": nncf.__version__}, in_float


def _fp16(model: onnx.ModelProto, source: Artifact) -> onnx.ModelProto:
    """Type every tensor within the graph as fp16, so that TensorRT and ONNX Runtime run it in fp16."""
    try:
        lower = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    except ValueError as error:
        fix = "--precision fp32, or --target openvino" if source.adopted else "another backbone"
        raise EdgebenchError(f"the ONNX file cannot be made fp16: {error}", fix) from error
    lower.topological_sort()  # the casts of inputs stand at the end
    return lower.model


def _opened(model: onnx.ModelProto) -> Callable[[np.ndarray], Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda inputs: session.run(None, {name: inputs})[0]
