#!/usr/bin/env bash
# OpenVINO's CPU plugin multiplies int64 in 32 bits: 2^20 times 2^20 is 0, and the result still calls itself int64.
#
# Installs: numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
# Runs: an ONNX model of one Mul of int64, which passes onnx's full check, in ONNX Runtime and in OpenVINO.
# Expected: equal answers, or an error that int64 is not supported. Nothing is said, and the output's type is int64.
# Fails if: OpenVINO gives the right products, or refuses the model.
# Seen: 2026-11-27, x86-64 with AVX2, Linux, Python 3.11
#   ONNX Runtime: int64 [9, 1073741824, 4294967296, 1099511627776]
#   OpenVINO:     int64 [9, 1073741824, 0, 0]
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
from onnx import TensorProto, helper

ends = [helper.make_tensor_value_info(name, TensorProto.INT64, [4]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Mul", ["x", "x"], ["y"])], "square", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
feed = {"x": np.array([3, 2**15, 2**16, 2**20], np.int64)}

session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
core = openvino.Core()
compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU")
right, (theirs,) = session.run(None, feed)[0], compiled(feed).values()
print("ONNX Runtime:", right.dtype, right.tolist())
print("OpenVINO:    ", theirs.dtype, theirs.tolist())
same = theirs.dtype == np.int64 and theirs.tolist() == [9, 2**30, 0, 0] and right.tolist() == [9, 2**30, 2**32, 2**40]
sys.exit(not same)
PYTHON
