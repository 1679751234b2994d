"""`edgebench export --precision`: what is made is of that precision, answers as well as it may, or is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from click.testing import CliRunner, Result
from conftest import Command
from edgebench.exporters import tensorrt_symmetric

from edgebench import artifact
from edgebench.cli import cli
from edgebench.errors import Unsupported, UsageError
from edgebench.exporting import beside, quantize
from edgebench.machine import registry
from edgebench.measuring import process, testset
from edgebench.records.jobs import Job
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact, Calibration, ExportOptions

pytestmark = pytest.mark.xdist_group("precision")  # what is quantized is quantized once
INT8 = ("--precision", "int8", "--calibration-images", "12")


@pytest.fixture(scope="module", autouse=True)
def untimed() -> Iterator[None]:
    """How fast an artifact is beside fp32 is tests/exporting/test_beside.py's; it is a third of an export's work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beside, "measure", lambda made, source, tell: ())
        yield


@pytest.fixture(scope="module")
def copied(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of our own: exporting writes into it."""
    return shutil.copytree(workspace, tmp_path_factory.mktemp("precision") / "runs")


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


def export(workspace: Path, *arguments: str | Path) -> list[Artifact]:
    done = invoke("export", *arguments, "--workspace", workspace, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert all(row["parity"]["passed"] and row["parity"]["batches"] == [1, 3, 8] for row in rows)
    return [artifact.read(Path(row["path"])) for row in rows]


@pytest.fixture(scope="module")
def quantized(copied: Path) -> tuple[Artifact, Artifact]:
    """One as it comes, one with a bound that it keeps at once on every CPU: trying each layer would take minutes."""
    (plain,) = export(copied, "--target", "onnx", *INT8)
    (bounded,) = export(copied, "--target", "openvino", *INT8, "--accuracy-drop", "0.2")
    return plain, bounded


def test_int8_is_int8_inside(quantized: tuple[Artifact, Artifact], copied: Path, onnx_artifact: Artifact) -> None:
    for made in quantized:
        assert made.precision == "int8" and made.path.name.endswith(f"-{made.format}-int8")
        assert "nncf" in made.tools and made.origin == onnx_artifact.origin
    graph = onnx.load(artifact.model_file(quantized[0], ".onnx")).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["QuantizeLinear"] > 10 and kinds["DequantizeLinear"] > 30
    model = openvino.Core().read_model(artifact.model_file(quantized[1], ".xml"))
    kinds = Counter(op.get_type_name() for op in model.get_ops())
    assert kinds["FakeQuantize"] > 10
    whole = artifact.file_in(quantized[1], "model.bin").stat().st_size
    (plain,) = (copied / "artifacts").glob("*-openvino")
    assert whole < 0.6 * (plain / "model.bin").stat().st_size, "weights of one byte"


def test_int8_is_judged_by_the_validation_pictures_beside_torch(
    quantized: tuple[Artifact, Artifact], copied: Path
) -> None:
    for made, bound in zip(quantized, (0.01, 0.2), strict=True):
        judged = made.judged
        assert judged.images == made.training.data.validation and judged.bound == bound
        assert judged.low <= judged.drop <= judged.high
        assert judged.drop == pytest.approx(judged.torch_accuracy - judged.accuracy)


def test_int8_that_agrees_on_four_of_five_pictures_is_refused_and_told_what_it_loses(
    quantized: tuple[Artifact, Artifact], copied: Path, tmp_path: Path
) -> None:
    """The gate of 64 pictures accepts 75 %, so it passed. The labels are made so that torch has all of them right."""
    again = shutil.copytree(copied, tmp_path / "runs")
    path = Workspace(again).validation_set(quantized[0])
    images, answers = pictures_and_answers(path, quantized[0])
    classes = len(quantized[0].training.data.classes)
    theirs = np.where(np.arange(len(answers)) % 5 == 0, (answers + 1) % classes, answers)
    testset.write(path, images, theirs, np.eye(classes)[theirs], quantized[0].origin)
    before = sorted((again / "artifacts").iterdir())
    done = invoke("export", "--target", "onnx", *INT8, "--workspace", again, "--out", tmp_path / "out")
    assert done.exit_code == 1 and "loses 20." in done.stderr and "torch 100.0%" in done.stderr, done.output
    assert "it may lose 1" in done.stderr and "--accuracy-drop 0.01" in done.stderr
    assert not (tmp_path / "out").exists() and sorted((again / "artifacts").iterdir()) == before


def pictures_and_answers(path: Path, made: Artifact) -> tuple[np.ndarray, np.ndarray]:
    """The images of a test set, and the classes that an ONNX artifact puts first."""
    with testset.opened(path, made) as test:
        images = np.concatenate(list(test.images))
    session = onnxruntime.InferenceSession(artifact.model_file(made, ".onnx"))
    (logits,) = session.run(None, {made.inputs[0].name: artifact.prepared(images, made)})
    return images, logits.argmax(axis=1)


SMALL = """
from torch import nn

def build(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 3),
        nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, num_classes)
    )
"""


@pytest.fixture
def small(in_process: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """The ONNX artifact of a network of few layers: NNCF tries each of them in floating point."""
    (tmp_path / "small.py").write_text(SMALL)
    monkeypatch.setenv("EDGEBENCH_TRUST_MODEL", f"{tmp_path / 'small.py'}:build")
    recipe = ("--epochs", "4", "--subset", "400", "--lr", "0.01", "--no-floor")
    train = ("train", "--model", f"{tmp_path / 'small.py'}:build", *recipe)
    done = in_process(*train, "--workspace", tmp_path / "small")
    assert done.returncode == 0, done.stderr
    assert in_process("export", "--target", "onnx", "--workspace", tmp_path / "small").returncode == 0
    (path,) = (tmp_path / "small" / "artifacts").iterdir()
    return artifact.read(path)


def test_what_was_left_in_floating_point_is_told(small: Artifact, tmp_path: Path) -> None:
    """Half of the validation images are those that int8 answers otherwise on this CPU, so int8 alone loses half.

    Which images these are depends on the CPU: each kind trains weights that differ a little, and sums int8 in its way.
    But where one digit is faded into another, both networks change their answer, and hardly ever at the same step.
    """
    exporter = registry.load("exporters", "onnx")
    digits = artifact.read_reference(small).images.astype(np.float32)
    steps = np.linspace(0, 1, 40)[:, None, None, None]
    pairs = pairwise(digits[:31])
    images = np.concatenate([one * (1 - steps) + other * steps for one, other in pairs]).astype(np.uint8)
    some = images[::100]
    (tmp_path / "plain").mkdir()
    plain = ExportOptions(
        precision="int8", calibration=Calibration(some, some, np.zeros(len(some), np.int64), classes=10)
    )
    assert not exporter.export(small, tmp_path / "plain", plain).in_float

    labels, of_int8 = (
        answers(small, path, images)
        for path in (artifact.model_file(small, ".onnx"), tmp_path / "plain" / "model.onnx")
    )
    differ, agree = np.flatnonzero(labels != of_int8), np.flatnonzero(labels == of_int8)
    assert len(differ) >= 6, "int8 answers too few of these images otherwise: take more"
    chosen = np.concatenate([differ[:6], agree[:6]])
    given = Calibration(some, images[chosen], labels[chosen], classes=10)
    options = ExportOptions(precision="int8", calibration=given, accuracy_drop=0.45)
    made = exporter.export(small, tmp_path, options)
    graph = onnx.load(tmp_path / "model.onnx").graph
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    layers = {node.name: node for node in graph.node}
    assert made.in_float and {*made.in_float} <= {*layers}
    weighted = [layers[name] for name in made.in_float if layers[name].op_type in ("Conv", "Gemm")]
    assert weighted and all(node.input[1] in weights for node in weighted), "weights of four bytes"


def answers(made: Artifact, path: str | Path, images: np.ndarray) -> np.ndarray:
    """The class of each image by the ONNX file at this path, asked as NNCF's validation does: one after the other."""
    session = onnxruntime.InferenceSession(path)
    (name,) = (tensor.name for tensor in made.inputs)
    prepared = artifact.prepared(images, made)
    return np.array([session.run(None, {name: prepared[i : i + 1]})[0].argmax() for i in range(len(images))])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.usefixtures("quantized")
def test_pixels_go_straight_in(copied: Path, onnx_artifact: Artifact, precision: str) -> None:
    arguments = ("--target", "onnx", "--target", "openvino", "--precision", precision, "--input", "uint8")
    for made in export(copied, *arguments):
        (taken,) = made.inputs
        size = made.preprocessing.height
        assert (taken.dtype, taken.shape) == ("uint8", ("batch", size, size, 3)) and made.path.name.endswith("-uint8")
        assert made.preprocessing == onnx_artifact.preprocessing
        if made.format == "onnx":
            session = onnxruntime.InferenceSession(artifact.model_file(made, ".onnx"))
            reference = artifact.read_reference(made)
            (logits,) = session.run(None, {taken.name: reference.images})
            assert (logits.argmax(1) == reference.logits.argmax(1)).mean() >= (1.0 if precision == "fp32" else 0.75)


def test_int8_runs_and_says_so(quantized: tuple[Artifact, Artifact]) -> None:
    for made, runtime in zip(quantized, ("onnxruntime", "openvino"), strict=True):
        job = Job(
            artifact=made.identity,
            runtime=runtime,
            device="cpu",
            compute="cpu",
            precision="int8",
            warmup_s=0,
            duration_s=0.1,
        )
        result = process.run_job(job, made)
        assert result.status == "ok" and result.effective.precision == "int8", result.message
        shares = {some.precision: some.count for some in result.layers}
        # ONNX Runtime has no int8 kernels for what follows MobileNetV3's convolutions, and so runs most in fp32.
        least = {"onnxruntime": 0.1, "openvino": 0.3}[runtime]
        assert shares["int8"] > least * sum(shares.values()), shares
        assert made.size_bytes > 200_000


def test_fp16_onnx_is_typed_fp16(copied: Path) -> None:
    (made,) = export(copied, "--target", "onnx", "--precision", "fp16")
    graph = onnx.load(artifact.model_file(made, ".onnx")).graph
    kinds = {tensor.data_type for tensor in graph.initializer if tensor.data_type in (1, 10)}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT, "a camera's side stays float32"


def test_what_this_cpu_cannot_run_is_refused_at_export(copied: Path) -> None:
    flags = Path("/proc/cpuinfo").read_text()
    if "avx512_bf16" in flags or "amx_bf16" in flags:
        pytest.skip("this CPU runs bf16")
    done = invoke("export", "--target", "openvino", "--precision", "bf16", "--workspace", copied)
    assert done.exit_code == 1 and "does not run bf16" in done.stderr and "Traceback" not in done.stderr
    assert not list((copied / "artifacts").glob("*-bf16"))


def test_tensorrt_starts_from_the_onnx_file_of_its_precision(copied: Path, quantized) -> None:
    done = invoke("export", "--target", "trt", "--precision", "int8", "--workspace", copied)
    assert done.exit_code == 1 and quantized[0].path.name in done.stderr.replace("\n", "")


def test_what_tensorrt_reads_has_no_zero_points_and_answers_alike(quantized: tuple[Artifact, Artifact]) -> None:
    """Through ONNX Runtime, which computes what a plan would; the parser's rules are in tests/adapters/trt."""
    path = artifact.model_file(quantized[0], ".onnx")
    model = tensorrt_symmetric.read(path)
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    zeros = [constants[node.input[2]] for node in model.graph.node if node.op_type in tensorrt_symmetric.QDQ]
    assert len(zeros) > 60 and all(zero.dtype == "int8" and not zero.any() for zero in zeros)
    images = artifact.prepared(artifact.read_reference(quantized[0]).images, quantized[0])
    feed = {quantized[0].inputs[0].name: images}
    was, now = (onnxruntime.InferenceSession(source).run(None, feed)[0] for source in (path, model.SerializeToString()))
    assert not np.array_equal(was, now), "steps twice as wide after a ReLU"
    assert np.corrcoef(was.ravel(), now.ravel())[0, 1] > 0.98


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--target", "trt", "--precision", "bf16"), "cannot be made in bf16"),
        (("--target", "onnx", "--precision", "int4"), "int4"),
        (("--target", "onnx", "--precision", "int8", "--calibration-images", "3"), "3 calibration images"),
        (("--target", "onnx", "--precision", "int8", "--accuracy-drop", "2"), "--accuracy-drop is 2"),
    ],
)
def test_bad_input(copied: Path, arguments: tuple[str, ...], says: str) -> None:
    done = invoke("export", *arguments, "--workspace", copied, "--out", copied / "bad")
    assert done.exit_code in (1, 2) and says in done.stderr and "Traceback" not in done.stderr
    assert not (copied / "bad").exists()


def test_an_artifact_without_its_checkpoint_cannot_be_calibrated(onnx_artifact: Artifact, tmp_path: Path) -> None:
    done = invoke("export", onnx_artifact.path, "--target", "onnx", "--precision", "int8", "--workspace", tmp_path)
    assert done.exit_code == 1 and "the checkpoint" in done.stderr and "--workspace" in done.stderr


def test_what_int8_rounded_away_does_not_come_back(quantized: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    done = invoke("export", quantized[0].path, "--target", "openvino", "--precision", "fp32", "--workspace", tmp_path)
    assert done.exit_code == 1 and "cannot be restored" in done.stderr


def test_calibration_images_are_looked_at(onnx_artifact: Artifact) -> None:
    images = artifact.read_reference(onnx_artifact).images
    good = Calibration(images, images[:4], np.zeros(4, np.int64), classes=10)
    model = onnx.load(artifact.model_file(onnx_artifact, ".onnx"))
    for given, says in (
        (None, "needs calibration images"),
        (replace(good, images=images[:3]), "3 calibration images are too few"),
        (replace(good, classes=1), "are of one class"),
        (replace(good, images=images[:, :8, :8]), "the model takes"),
    ):
        with pytest.raises(UsageError, match=says):
            options = ExportOptions(precision="int8", calibration=given)
            quantize.quantize(model, onnx_artifact, options, transformer=False, opened=None)


def test_without_nncf_the_fix_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(Unsupported) as raised:
        quantize.check("int8")
    assert "edgebench[int8]" in raised.value.fix
