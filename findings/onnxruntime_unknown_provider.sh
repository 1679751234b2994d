#!/usr/bin/env bash
# ONNX Runtime runs on the CPU if a provider's name is misspelt, and writes about it to stdout.
#
# Installs: numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
# Runs: a session with providers=["CudaExecutionProvider"], whose right name begins with CUDA, on a model of one Relu.
# Expected: an error, as for a misspelt session option or input. There is a UserWarning, which programs often hide; the
#   rest goes to stdout, where a program that prints JSON has its answer.
# Fails if: it raises an exception, or leaves stdout alone.
# Seen: 2026-11-27, x86-64, Linux, Python 3.11
#   It runs on: ['CPUExecutionProvider']
#   On stdout:
#   *************** EP Error ***************
#   EP Error Unknown Provider Type: CudaExecutionProvider when using ['CudaExecutionProvider']
#   Falling back to ['CPUExecutionProvider'] and retrying.
#   ****************************************
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io
import sys

import onnxruntime
from onnx import TensorProto, helper

ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
with contextlib.redirect_stdout(io.StringIO()) as stdout:
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CudaExecutionProvider"])
        used = session.get_providers()
    except Exception as error:
        used = repr(error)
print("It runs on:", used)
print("On stdout:")
print(stdout.getvalue().strip())
sys.exit(not (used == ["CPUExecutionProvider"] and "Unknown Provider Type" in stdout.getvalue()))
PYTHON
