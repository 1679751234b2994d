#!/usr/bin/env bash
# OpenVINO's benchmark_app turns a float32 input that looks like a picture into uint8, and so times another model.
#
# Installs: numpy==2.4.6 onnx==1.23.2 openvino==2026.4.1
# Runs: benchmark_app on two ONNX models of one Relu, which pass onnx's full check and differ in the size of their
#   float32 input alone: (1, 3, 16, 16) and (1, 5, 16, 16).
# Expected: both are fed float32, as their files say: nothing on the command line asks for another type.
# Fails if: both are fed the same type.
# Seen: 2026-11-28, x86-64 with AVX2, Linux, Python 3.11
#   (1, 3, 16, 16): u8
#   (1, 5, 16, 16): f32
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
cd "$scratch"
"$scratch/venv/bin/python" -W ignore - "$scratch/venv/bin/benchmark_app" <<'PYTHON'
import re
import subprocess
import sys

import onnx
from onnx import TensorProto, helper

seen = []
for channels in (3, 5):
    size = (1, channels, 16, 16)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "model.onnx")
    command = [sys.argv[1], "-m", "model.onnx", "-d", "CPU", "-niter", "2", "-hint", "none"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    built = said.partition("Step 7")[0].rpartition("inputs:")[2]
    seen.append(re.search(r": (\w+) / ", built)[1])
    print(f"{size}: {seen[-1]}")
sys.exit(seen != ["u8", "f32"])
PYTHON
