#!/usr/bin/env bash
# OpenVINO's Relu and Clip turn a NaN into 0, so that a network with a spoilt weight gives finite answers.
#
# Installs: numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
# Runs: ONNX models of one Relu and one Clip, which pass onnx's full check, on [NaN, -1, 1], in both runtimes.
# Expected: NaN stays NaN, as in ONNX Runtime, in NumPy and in torch; a check of the answers for NaN would find it.
# Fails if: OpenVINO keeps the NaN. (On x86-64; other processors have other instructions for a maximum.)
# Seen: 2026-11-27, x86-64 with AVX2, Linux, Python 3.11
#   Relu: ONNX Runtime [nan, 0.0, 1.0], OpenVINO [0.0, 0.0, 1.0]
#   Clip: ONNX Runtime [nan, 0.0, 1.0], OpenVINO [0.0, 0.0, 1.0]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

bounds = [numpy_helper.from_array(np.float32(value), name) for name, value in (("low", 0), ("high", 6))]
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")]
feed = {"x": np.array([np.nan, -1, 1], np.float32)}
core, same = openvino.Core(), True
for operator, inputs in (("Relu", ["x"]), ("Clip", ["x", "low", "high"])):
    node = helper.make_node(operator, inputs, ["y"])
    graph = helper.make_graph([node], operator, ends[:1], ends[1:], bounds[: len(inputs) - 1])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU")
    right, (theirs,) = session.run(None, feed)[0], compiled(feed).values()
    print(f"{operator}: ONNX Runtime {right.tolist()}, OpenVINO {theirs.tolist()}")
    same &= bool(np.isnan(right[0])) and theirs.tolist() == [0, 0, 1]
sys.exit(not same)
PYTHON
