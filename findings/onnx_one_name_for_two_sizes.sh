#!/usr/bin/env bash
# One name stands for two different sizes in a published ONNX model, and neither onnx's check nor ONNX Runtime objects.
#
# Installs: numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 rapidocr==3.10.0
# Runs: the orientation classifier that rapidocr ships: its input's dimensions, onnx's full check, and a request of
#   48 × 192 pixels, its usual size, in ONNX Runtime.
# Expected: ONNX's specification says that dimensions of one name (dim_param) have one size, and that a fixed size is
#   not negative. So a tool may give all dimensions of a name one size, and the check should refuse this model.
# Fails if: the model names its height and width apart, or the check or ONNX Runtime refuses it.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   input x: [-1, 3, '?', '?']
#   onnx.checker.check_model(full_check=True): no complaint
#   ONNX Runtime on 1 x 3 x 48 x 192: answer of shape (1, 2)
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$scratch/packages.txt" || exit 3
grep -v rapidocr "$scratch/packages.txt" >"$scratch/libraries.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/libraries.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import importlib.metadata
import sys

import numpy as np
import onnx
import onnxruntime

shipped = importlib.metadata.distribution("rapidocr")
(name,) = [file for file in shipped.files if file.name == "ch_ppocr_mobile_v2.0_cls_mobile.onnx"]
path = str(shipped.locate_file(name))
(given,) = onnx.load(path).graph.input
sizes = [one.dim_param or one.dim_value for one in given.type.tensor_type.shape.dim]
print(f"input {given.name}: {sizes}")
onnx.checker.check_model(path, full_check=True)
print("onnx.checker.check_model(full_check=True): no complaint")
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
(answer,) = session.run(None, {given.name: np.zeros((1, 3, 48, 192), np.float32)})
print(f"ONNX Runtime on 1 x 3 x 48 x 192: answer of shape {answer.shape}")
sys.exit(sizes != [-1, 3, "?", "?"])
PYTHON
