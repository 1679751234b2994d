"""Artifacts with a planted fault, whole by their hashes: each is caught before a latency is told, or labelled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import Command
from onnx import TensorProto, helper, numpy_helper

from edgebench import artifact
from edgebench.artifact import Reference
from edgebench.measuring import process
from edgebench.records import digests
from edgebench.records.jobs import Job
from edgebench.records.result import Result
from edgebench.results.readings import layer_shares
from edgebench.specs import Artifact

SHORT = ("--runtime", "onnxruntime", "--duration", "0.1", "--warmup", "0", "--launches", "1", "--json")
Manifest = dict
Change = Callable[[onnx.ModelProto, Manifest], None]


@pytest.fixture(scope="module")
def coloured(onnx_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The digits' network with coloured images for reference, since a grey one has no channels to swap."""
    path = shutil.copytree(onnx_artifact.path, tmp_path_factory.mktemp("gates") / "coloured")
    made = artifact.read(path)
    old = artifact.read_reference(made)
    # Digits in two colours, whose answers are as clear as the grey ones'.
    tint = np.random.default_rng(0).uniform(0.2, 1, (len(old.labels), 1, 1, 3))
    images = (old.images * tint).astype(np.uint8)
    session = onnxruntime.InferenceSession(artifact.model_file(made, ".onnx"))
    (logits,) = session.run(None, {made.inputs[0].name: artifact.preprocess(images, made.preprocessing)})
    artifact.write_reference(path, Reference(images, old.labels, logits))
    return artifact.write_manifest(path, made)


def planted(source: Artifact, out: Path, change: Change) -> Path:
    """A copy of the artifact with its model and its manifest changed, and all hashes made to fit."""
    shutil.copytree(source.path, out)
    model, manifest = onnx.load(out / "model.onnx"), json.loads((out / "artifact.json").read_text())
    change(model, manifest)
    onnx.save(model, out / "model.onnx")
    files = {name: digests.of_file(out / name) for name in manifest["files"]}
    (out / "artifact.json").write_text(json.dumps(manifest | {"files": files}))
    return out


def measured(path: Path, runtime: str = "onnxruntime") -> Result:
    """One launch of `edgebench run` on it."""
    found = artifact.read(path)
    job = Job(
        artifact=found.identity,
        runtime=runtime,
        device="cpu",
        compute="cpu",
        precision=found.precision,
        warmup_s=0,
        duration_s=0.1,
    )
    return process.run_job(job, found)


def weights(model: onnx.ModelProto, edit: Callable[[np.ndarray], np.ndarray], which: int = 0) -> None:
    """Edit the weights of the convolution with this number."""
    names = [node.input[1] for node in model.graph.node if node.op_type == "Conv"]
    (tensor,) = (one for one in model.graph.initializer if one.name == names[which])
    tensor.CopyFrom(numpy_helper.from_array(edit(numpy_helper.to_array(tensor).copy()), tensor.name))


def swap_channels(model: onnx.ModelProto, manifest: Manifest) -> None:
    weights(model, lambda w: w[:, ::-1].copy())


def another_mean(model: onnx.ModelProto, manifest: Manifest) -> None:
    manifest["preprocessing"]["mean"] = [0.485, 0.456, 0.406]


def one_nan(model: onnx.ModelProto, manifest: Manifest) -> None:
    def spoil(values: np.ndarray) -> np.ndarray:
        values.flat[0] = np.nan
        return values

    weights(model, spoil)


def batch_of_one(model: onnx.ModelProto, manifest: Manifest) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def saturated(model: onnx.ModelProto, manifest: Manifest) -> None:
    """What a scale that is too small does to the activations of int8."""
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    inner = f"{first.output[0]}_whole"
    scale = numpy_helper.from_array(np.float32(1e-3), "tiny")
    zero = numpy_helper.from_array(np.int8(0), "zero")
    model.graph.initializer.extend([scale, zero])
    at = list(model.graph.node).index(first) + 1
    model.graph.node.insert(at, helper.make_node("QuantizeLinear", [inner, "tiny", "zero"], ["q"]))
    model.graph.node.insert(at + 1, helper.make_node("DequantizeLinear", ["q", "tiny", "zero"], [first.output[0]]))
    first.output[0] = inner
    manifest["precision"] = "int8"


FAULTS = (swap_channels, another_mean, one_nan, batch_of_one, saturated)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught_before_a_latency_is_told(coloured: Artifact, tmp_path: Path, fault: Change) -> None:
    result = measured(planted(coloured, tmp_path / "planted", fault))
    assert result.status == "failed" and result.message
    assert result.summary is None and all(launch.samples is None for launch in result.launches)


def test_without_a_fault_it_is_measured(coloured: Artifact, tmp_path: Path) -> None:
    result = measured(planted(coloured, tmp_path / "sound", lambda model, manifest: None))
    assert result.status == "ok" and result.launches[0].samples and layer_shares(result.layers) == (("fp32", 1.0),)


def test_unverified_measures_it_and_says_so(in_process: Command, coloured: Artifact, tmp_path: Path) -> None:
    path = planted(coloured, tmp_path / "planted", another_mean)
    done = in_process("run", path, *SHORT, "--unverified", "--workspace", tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["throughput_per_s"] > 0 and "unverified" in row["warnings"]
    assert "its answers are not torch's" in " ".join(done.stderr.split())


# models that are not what their manifest says


def two_inputs(model: onnx.ModelProto, manifest: Manifest) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))


def free_size(model: onnx.ModelProto, manifest: Manifest) -> None:
    for number, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[number].dim_param = name


def unknown_operator(model: onnx.ModelProto, manifest: Manifest) -> None:
    model.graph.node[0].op_type = "Telepathy"


def weights_outside(model: onnx.ModelProto, manifest: Manifest) -> None:
    tensor = next(one for one in model.graph.initializer if len(one.raw_data) > 1000)
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "../outside.bin", "offset": "0", "length": str(size)}.items():
        tensor.external_data.add(key=key, value=value)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (two_inputs, "mask"),
        (free_size, "its manifest says"),
        (unknown_operator, "Telepathy"),
        (weights_outside, "../outside.bin"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_model_that_is_not_what_its_manifest_says_is_refused(
    coloured: Artifact, tmp_path: Path, change: Change, says: str, runtime: str
) -> None:
    (tmp_path / "outside.bin").write_bytes(bytes(1 << 20))
    path = planted(coloured, tmp_path / "planted", lambda model, manifest: None)
    model = onnx.load(path / "model.onnx")
    change(model, {})
    (path / "model.onnx").write_bytes(model.SerializeToString())  # onnx.save would gather what lies outside
    manifest = json.loads((path / "artifact.json").read_text())
    manifest["files"]["model.onnx"] = digests.of_file(path / "model.onnx")
    (path / "artifact.json").write_text(json.dumps(manifest))
    result = measured(path, runtime)
    assert result.status == "failed" and says in result.message and not result.launches, result.message
