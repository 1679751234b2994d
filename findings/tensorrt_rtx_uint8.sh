#!/usr/bin/env bash
# TensorRT-RTX's parser makes int8 of an ONNX model's uint8, with the same scale: half of the range is cut off.
#
# Installs: numpy==2.4.6 onnx==1.23.2 tensorrt_rtx_cu12_libs==1.7.1.116 tensorrt_rtx_cu12_bindings==1.7.1.116
# Runs: the parser, without a card, on QuantizeLinear and DequantizeLinear with scale 0.01 and the uint8 zero point 0.
# Expected: it refuses uint8, as it does a zero point that is not 0, or the network has uint8. It warns only.
# Fails if: it is refused, or the type of the quantized tensor is no longer INT8.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   parsed: True; after QuantizeLinear: INT8, of which 127 × 0.01 = 1.27 is the most
#   onnx's own reference answers [0.5, 1.0, 1.5, 2.0]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import ctypes
from pathlib import Path

import numpy as np
import onnx
import tensorrt_rtx_libs
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

for library in sorted(Path(tensorrt_rtx_libs.__path__[0]).glob("*.so*"), key=lambda path: "parser" in path.name):
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
import tensorrt_rtx_bindings as trt

graph = helper.make_graph(
    [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["y"]),
    ],
    "bytes",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    [numpy_helper.from_array(np.float32(0.01), "scale"), numpy_helper.from_array(np.uint8(0), "zero")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
onnx.checker.check_model(model, full_check=True)

builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
parsed = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR)).parse(model.SerializeToString())
layers = [network.get_layer(i) for i in range(network.num_layers)]
(became,) = [layer.get_output(0).dtype.name for layer in layers if layer.type == trt.LayerType.QUANTIZE]
print(f"parsed: {parsed}; after QuantizeLinear: {became}, of which 127 × 0.01 = 1.27 is the most")
x = np.array([0.5, 1.0, 1.5, 2.0], np.float32)
(answer,) = ReferenceEvaluator(model).run(None, {"x": x})
print(f"onnx's own reference answers {np.round(answer, 3).tolist()}")
assert parsed and became == "INT8" and np.allclose(answer, x)
PYTHON
