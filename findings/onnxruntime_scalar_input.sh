#!/usr/bin/env bash
# ONNX Runtime takes an array without dimensions as a scalar input, and refuses numpy's own scalar.
#
# Installs: numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
# Runs: a model that doubles a float32 scalar, on a numpy array of shape () and on a numpy.float32.
# Expected: numpy makes float32 scalars of arrays by itself, as in array[0] or array.sum(), and both have the shape ()
#   and the type float32. So both should be taken, or both refused.
# Fails if: the scalar is taken too, or the array is refused.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   array of shape (): 3.0
#   numpy.float32: RuntimeError: Unable to handle object of type <class 'numpy.float32'>
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in ("given", "answer"))
graph = helper.make_graph([helper.make_node("Add", ["given", "given"], ["answer"])], "double", [given], [answer])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
array = np.array(1.5, np.float32)
doubled = session.run(None, {"given": array})[0]
print(f"array of shape (): {doubled}")
try:
    session.run(None, {"given": array[()]})
except Exception as error:
    print(f"numpy.float32: {type(error).__name__}: {error}")
    sys.exit(int(doubled != 3))
print("numpy.float32: taken")
sys.exit(1)
PYTHON
