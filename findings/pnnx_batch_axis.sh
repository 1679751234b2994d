#!/usr/bin/env bash
# pnnx drops the batch axis for ncnn where a convolution shows which one it is, and keeps it elsewhere, without a word.
#
# Installs: numpy==2.4.6 onnx==1.22.0 pnnx==20261020
# Runs: pnnx on two ONNX files with an input of 1 × 3 × 4 × 4: a mean over height and width, alone and behind a
#   convolution of 1 × 1.
# Expected: ncnn has no batch axis, so both files take a picture of 3 × 4 × 4, and the mean is over axes 1 and 2.
# Fails if: the mean alone has the axes 1 and 2, or pnnx no longer ends with code 0, or the .param file tells the two
#   apart by its input.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   conv, mean: code 0, input "in0", axes 1 and 2
#   mean: code 0, input "in0", axes 2 and 3
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
# Its requirement torch is for its Python functions; the program needs none.
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$scratch/packages.txt" \
  typing_extensions==4.16.0 ml_dtypes==0.5.4 protobuf==7.36.2 || exit 3
cd "$scratch"
venv/bin/python -W ignore - <<'PYTHON'
import glob
import subprocess

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

(program,) = glob.glob("venv/lib/python3*/site-packages/pnnx/pnnx")
weights = [numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "w")]
conv = helper.make_node("Conv", ["image", "w"], ["maps"])
seen = {}
for name, first in (("conv, mean", [conv]), ("mean", [])):
    mean = helper.make_node("ReduceMean", ["maps" if first else "image"], ["scores"], axes=[2, 3], keepdims=1)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 4, 4])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph([*first, mean], "graph", [image], [scores], weights if first else [])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "model.onnx")
    done = subprocess.run([program, "model.onnx", "inputshape=[1,3,4,4]"], capture_output=True)
    lines = [line.split() for line in open("model.ncnn.param")]
    (entry,) = [words for words in lines if words[0] == "Input"]
    (axes,) = [word for words in lines if words[0] == "Reduction" for word in words if word.startswith("-23303=2,")]
    a, b = axes.removeprefix("-23303=2,").split(",")  # ncnn's list of two axes
    seen[name] = f'{name}: code {done.returncode}, input "{" ".join(entry[4:])}", axes {a} and {b}'
    print(seen[name])
assert seen["conv, mean"] == 'conv, mean: code 0, input "in0", axes 1 and 2'
assert seen["mean"] == 'mean: code 0, input "in0", axes 2 and 3'
PYTHON
