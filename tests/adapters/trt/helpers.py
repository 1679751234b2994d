"""A small network with a dynamic batch, and the artifact folders around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgebench import artifact
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact, DataSplit, Exported, ModelInfo, Preprocessing, TensorSpec, Training

IMAGE = (3, 8, 8)
CLASSES = 5


def network(batch: int | str = "batch", domain: str = "", half: bool = False) -> onnx.ModelProto:
    """Convolution, ReLU, global pool, linear. `domain` puts the ReLU where no TensorRT knows it."""
    random = np.random.default_rng(7)
    numpy_type, kind = (np.float16, TensorProto.FLOAT16) if half else (np.float32, TensorProto.FLOAT)
    shapes = {"kernel": (4, 3, 3, 3), "bias": (4,), "weight": (CLASSES, 4), "offset": (CLASSES,)}
    weights = {name: random.normal(size=shape).astype(numpy_type) for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Conv", ["image", "kernel", "bias"], ["features"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["positive"], "relu", domain=domain),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "weight", "offset"], ["logits"], "head", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", kind, [batch, *IMAGE])],
        [helper.make_tensor_value_info("logits", kind, [batch, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def quantized(zero: np.integer, scale: float = 1 / 51) -> onnx.ModelProto:
    """`network` with what follows its ReLU quantized per tensor, with this zero point and scale."""
    model = network()
    relu = next(node for node in model.graph.node if node.name == "relu")
    relu.output[0] = "unrounded"
    pair = [
        helper.make_node("QuantizeLinear", ["unrounded", "scale", "zero"], ["rounded"], "q"),
        helper.make_node("DequantizeLinear", ["rounded", "scale", "zero"], ["positive"], "dq"),
    ]
    for node in reversed(pair):
        model.graph.node.insert(2, node)
    constants = {"scale": np.float32(scale), "zero": zero}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items())
    return model


def folder(path: Path, format: str, exported: Exported) -> Artifact:
    """Give the files that lie in `path` a manifest, and read the artifact back."""
    config = TrainConfig(model="small", image_size=8, epochs=1, batch_size=8, lr=1e-3, flip=False, threads=1)
    split = DataSplit(
        dataset="digits", classes=tuple("abcde"), train=10, validation=10, test=10, indices_sha256="0" * 64
    )
    made = Artifact(
        format=format,
        precision=exported.precision,
        inputs=exported.inputs,
        outputs=exported.outputs,
        preprocessing=Preprocessing(height=8, width=8, mean=(0.5,) * 3, std=(0.25,) * 3),
        model=ModelInfo(name="small", timm_name="small", arguments={}, parameters=100, macs=1000),
        training=Training(
            config=config, data=split, best_epoch=1, validation_accuracy=0.5, test_accuracy=0.5, seconds=1.0
        ),
        files={},
        tools=exported.tools,
        created="2026-01-01T00:00:00+00:00",
    )
    artifact.write_manifest(path, made)
    return artifact.read(path)


def onnx_artifact(path: Path, model: onnx.ModelProto, precision: Any = "fp32", **save: Any) -> Artifact:
    path.mkdir()
    onnx.save(model, path / "model.onnx", **save)
    dtype = "float16" if precision == "fp16" else "float32"
    inputs, outputs = TensorSpec("image", dtype, ("batch", *IMAGE)), TensorSpec("logits", dtype, ("batch", CLASSES))
    return folder(
        path,
        "onnx",
        Exported(files=("model.onnx",), inputs=(inputs,), outputs=(outputs,), tools={}, precision=precision),
    )
