#!/usr/bin/env bash
# A model made with onnx's defaults is refused by the ONNX Runtime of a year ago, even if it is a single Relu of 2016.
#
# Installs: numpy==2.3.5 onnx==1.23.2 onnxruntime==1.23.2
# Runs: make_model without versions, and with those of 2022, on the same graph; both pass onnx's full check.
# Expected: a library writes what the runtimes of its day read, or asks. make_model writes the newest that it knows.
# Fails if: this ONNX Runtime opens the first model, or refuses the second one.
# Seen: 2026-11-27, x86-64, Linux, Python 3.11
#   IR 14, opset 28: Unsupported model IR version: 14, max supported IR version: 11
#   IR 8, opset 17: opened
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import onnx
import onnxruntime
from onnx import TensorProto, helper

ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
opened = []
for versions in ({}, {"ir_version": 8, "opset_imports": [helper.make_opsetid("", 17)]}):
    model = helper.make_model(graph, **versions)
    onnx.checker.check_model(model, full_check=True)
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        came = "opened"
    except Exception as error:
        came = str(error)[str(error).find("Unsupported") :]
    opened.append(came == "opened")
    print(f"IR {model.ir_version}, opset {model.opset_import[0].version}: {came}")
sys.exit(opened != [False, True])
PYTHON
