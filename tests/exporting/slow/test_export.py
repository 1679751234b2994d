"""`edgebench export`: what it makes, what it proves, and that a wrong artifact is not left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import PLUGINS, Command, needed

from edgebench import artifact
from edgebench.specs import Artifact


def test_the_onnx_file_is_checked_simplified_and_of_dynamic_batch(onnx_artifact: Artifact) -> None:
    path = artifact.model_file(onnx_artifact, ".onnx")
    model = onnx.load(path)
    onnx.checker.check_model(str(path), full_check=True)
    for tensor in (*model.graph.input, *model.graph.output):
        assert tensor.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert not [node.op_type for node in model.graph.node if node.op_type in ("Identity", "Constant")]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    shape = onnx_artifact.inputs[0].shape[1:]
    for batch in (1, 2, 7):
        (logits,) = session.run(None, {"input": np.zeros((batch, *shape), np.float32)})
        assert logits.shape == (batch, 10)


def test_an_artifact_carries_its_whole_history(
    checkpoint: Artifact, onnx_artifact: Artifact, openvino_artifact: Artifact
) -> None:
    assert onnx_artifact.source == onnx_artifact.origin == checkpoint.identity
    assert openvino_artifact.source == onnx_artifact.identity
    assert openvino_artifact.origin == checkpoint.identity
    assert openvino_artifact.training == checkpoint.training
    assert {"torch", "timm", "onnx", "onnxsim", "openvino"} <= set(openvino_artifact.tools)


def test_export_starts_from_an_artifact_too(in_process: Command, onnx_artifact: Artifact, tmp_path: Path) -> None:
    """On a board there is the ONNX artifact alone."""
    copied = shutil.copytree(onnx_artifact.path, tmp_path / "copied")
    done = in_process("export", copied, "--target", "ov", "--workspace", tmp_path / "runs", "--json")
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)
    assert made["parity"]["passed"] and made["parity"]["batches"] == [1, 3, 8]
    assert made["artifact"]["source"] == onnx_artifact.identity


def test_a_wrong_artifact_is_an_error_and_is_not_left_behind(
    edgebench: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    done = edgebench(
        "export", onnx_artifact.path, "--target", "wrong", "--workspace", tmp_path, env={"PYTHONPATH": str(PLUGINS)}
    )
    assert done.returncode == 1
    assert "was not kept" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.onnx"))
    assert not list((tmp_path / "artifacts").iterdir()), "not even a hidden folder"


def test_an_export_whose_weights_differ_from_the_reference_is_caught(
    in_process: Command, checkpoint: Artifact, tmp_path: Path
) -> None:
    """A checkpoint whose reference logits are another network's: ONNX Runtime's answers cannot agree with them."""
    folder = Path(shutil.copytree(checkpoint.path, tmp_path / "checkpoint"))
    changed = artifact.read(folder)
    reference = artifact.read_reference(changed)
    artifact.write_reference(
        folder, artifact.Reference(reference.images, reference.labels, reference.logits * np.float32(1.01))
    )
    artifact.write_manifest(folder, changed)
    done = in_process("export", folder, "--target", "onnx", "--workspace", tmp_path)
    assert done.returncode == 1
    assert "does not answer as torch does" in done.stderr and "relative error" in done.stderr
    assert not list((tmp_path / "artifacts").iterdir())


def test_without_tensorrt_the_portable_artifact_is_left_and_the_way_on_is_told(
    in_process: Command, checkpoint: Artifact, tmp_path: Path
) -> None:
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("TensorRT is installed here: this is about machines without it")
    done = in_process("export", checkpoint.path, "--target", "trt", "--workspace", tmp_path)
    assert done.returncode == 1
    assert "edgebench[tensorrt]" in done.stderr and "--target tensorrt" in done.stderr
    assert "Traceback" not in done.stderr
    (left,) = (tmp_path / "artifacts").iterdir()
    assert artifact.read(left).format == "onnx"
    said = done.stderr.replace("\n", "")
    assert str(left) in said
    needed("tensorrt_rtx_libs", "TensorRT-RTX is not installed: pip install 'edgebench[tensorrt-rtx]'")
    assert "was asked and takes it" in said and "no proof" in said and "Nothing was built" in said


def test_windowed_attention_exports_with_a_dynamic_batch(in_process: Command, tmp_path: Path) -> None:
    """It bakes its batch in where an exporter is careless: batch 3 is compared after export at 2."""
    small_swin = 'timm = "swin_tiny_patch4_window7_224"\n[arguments]\n'
    (tmp_path / "swin.toml").write_text(small_swin + "embed_dim = 24\ndepths = [2, 2]\nnum_heads = [1, 2]\n")
    quick = ("--epochs", "1", "--subset", "20", "--image-size", "32", "--batch-size", "4", "--lr", "1e-4", "--no-floor")
    done = in_process("train", "--model", tmp_path / "swin.toml", *quick, "--workspace", tmp_path)
    assert done.returncode == 0, done.stderr
    done = in_process("export", "--target", "onnx", "--target", "openvino", "--workspace", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert all(made["parity"]["passed"] for made in json.loads(done.stdout))


def test_a_transformer_in_int8_is_int8_in_onnx_runtime(in_process: Command, tmp_path: Path) -> None:
    """It has integer kernels for MatMul where the result stays in floating point, and none for Gemm."""
    small_deit = 'timm = "deit_tiny_patch16_224"\n[arguments]\n'
    (tmp_path / "deit.toml").write_text(small_deit + "embed_dim = 24\ndepth = 2\nnum_heads = 2\n")
    quick = ("--epochs", "1", "--subset", "20", "--image-size", "32", "--batch-size", "4", "--lr", "1e-4", "--no-floor")
    done = in_process("train", "--model", tmp_path / "deit.toml", *quick, "--workspace", tmp_path)
    assert done.returncode == 0, done.stderr
    int8 = ("--target", "onnx", "--precision", "int8", "--calibration-images", "12")
    done = in_process("export", *int8, "--workspace", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3  # that such a file is for this machine alone
    path = Path(json.loads(done.stdout)[0]["path"]) / "model.onnx"
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert kinds.count("Gemm") == 1, "the classifier"
    assert kinds.count("MatMulIntegerToFloat") == 2 * 5, "qkv, query by key, projection, and the two of the MLP"
