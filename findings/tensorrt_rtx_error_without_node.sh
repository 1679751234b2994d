#!/usr/bin/env bash
# TensorRT-RTX's parser refuses some nodes with an error that names no node: number -1, no name, no operator.
#
# Installs: numpy==2.4.6 onnx==1.23.2 tensorrt_rtx_cu12_libs==1.7.1.116 tensorrt_rtx_cu12_bindings==1.7.1.116
# Runs: the parser, without a card, on two valid models of one named node each: Unique, and ScatterElements that takes
#   the largest of several (reduction="max").
# Expected: the error of either gives node 0 and its name and operator, for which ParserError has methods.
# Fails if: one of them is taken, or the error of ScatterElements names its node.
# Seen: 2026-11-28, x86-64, Linux, Python 3.11
#   Unique: node 0, name 'a', operator 'Unique', from checkUnique: false
#   ScatterElements: node -1, name '', operator '', from importScatterElements: Unsupported reduction type
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

for library in sorted(Path(tensorrt_rtx_libs.__path__[0]).glob("*.so*"), key=lambda path: "parser" in path.name):
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
import tensorrt_rtx_bindings as trt


def refused(node, weights):
    shape = ["n"] if node.op_type == "Unique" else [1, 16]
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)], weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    log = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    assert not parser.parse(model.SerializeToString())
    error = parser.get_error(0)
    print(f"{node.op_type}: node {error.node()}, name {error.node_name()!r}, operator {error.node_operator()!r}, "
          f"from {error.func()}: {error.desc()}")
    return error.node(), error.node_name(), error.node_operator()


places, updates = np.zeros((1, 2), np.int64), np.ones((1, 2), np.float32)
some = [numpy_helper.from_array(places, "i"), numpy_helper.from_array(updates, "u")]
named = refused(helper.make_node("Unique", ["x"], ["y"], "a"), [])
unnamed = refused(helper.make_node("ScatterElements", ["x", "i", "u"], ["y"], "a", axis=1, reduction="max"), some)
assert named == (0, "a", "Unique") and unnamed == (-1, "", "")
PYTHON
