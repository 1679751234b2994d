#!/usr/bin/env bash
# OpenVINO takes two tensors of a .tflite file for one if they have the same name, and computes something else.
#
# Installs: numpy==2.4.6 openvino==2026.4.1 ai-edge-litert==2.3.0
# Runs: a .tflite file of one subtraction of two inputs, both of which are called "a", in LiteRT and in OpenVINO.
# Expected: the format tells tensors apart by their numbers; LiteRT's schema says that names are for debugging and for
#   importing. So a reader should find two inputs, or refuse the file.
# Fails if: OpenVINO finds two inputs, refuses the file, or LiteRT no longer subtracts.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   LiteRT: 2 inputs, [5 7] - [1 2] = [4. 5.]
#   OpenVINO: 1 input, [5 7] gives [0. 0.]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3}" -m venv "$scratch/venv" || exit 3
sed -n 's/^# Installs: //p' "$0" | tr ' ' '\n' >"$scratch/packages.txt"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check -r "$scratch/packages.txt" || exit 3
"$scratch/venv/bin/python" -W ignore - "$scratch/minus.tflite" <<'PYTHON'
import sys

import flatbuffers
import numpy as np
import openvino
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

path = sys.argv[1]


def tensor(name):
    made = schema.TensorT()
    made.name, made.shape, made.type = name, [2], schema.TensorType.FLOAT32
    return made


minus, code, graph, model = schema.OperatorT(), schema.OperatorCodeT(), schema.SubGraphT(), schema.ModelT()
code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SUB
code.version = 1
minus.inputs, minus.outputs, minus.opcodeIndex = [0, 1], [2], 0
minus.builtinOptionsType, minus.builtinOptions = schema.BuiltinOptions.SubOptions, schema.SubOptionsT()
graph.tensors, graph.operators = [tensor(b"a"), tensor(b"a"), tensor(b"difference")], [minus]
graph.inputs, graph.outputs = [0, 1], [2]
model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [code], [graph]
builder = flatbuffers.Builder()
builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
with open(path, "wb") as file:
    file.write(builder.Output())

left, right = np.array([5, 7], np.float32), np.array([1, 2], np.float32)
interpreter = Interpreter(path, num_threads=1)
interpreter.allocate_tensors()
inputs = interpreter.get_input_details()
for place, values in zip(inputs, (left, right)):
    interpreter.set_tensor(place["index"], values)
interpreter.invoke()
answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
print(f"LiteRT: {len(inputs)} inputs, [5 7] - [1 2] = {answer}")
right_answer = len(inputs) == 2 and np.array_equal(answer, left - right)

compiled = openvino.Core().compile_model(path, "CPU")
found = compiled([left])[0] if len(compiled.inputs) == 1 else None
print(f"OpenVINO: {len(compiled.inputs)} input, [5 7] gives {found}")
sys.exit(not (right_answer and found is not None and not found.any()))
PYTHON
