"""`edgebench evaluate`: the accuracy of an artifact on its runtime over the whole test split, here and on a board."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgebench import artifact
from edgebench.cli import cli
from edgebench.specs import Artifact

pytestmark = pytest.mark.xdist_group("evaluate")  # the test split is answered once


@pytest.fixture(scope="module")
def copied(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of our own: evaluating writes into it."""
    return shutil.copytree(workspace, tmp_path_factory.mktemp("evaluate") / "runs")


@pytest.fixture(scope="module")
def test_images(copied: Path, onnx_artifact: Artifact) -> Path:
    path = copied.parent / "test.npz"
    found = copied / "artifacts" / onnx_artifact.path.name
    done = evaluate(found, "--runtime", "ort", "--save-images", path, "--workspace", copied, "--json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)
    found = row["evaluation"]
    assert found["images"] == 360 and found["torch_agreement"] == 1.0 and found["non_finite"] == 0
    assert found["accuracy"] == found["torch_accuracy"] == onnx_artifact.training.test_accuracy
    low, high = found["accuracy_ci95"]
    assert 0 <= low < found["accuracy"] < high <= 1
    assert [row["name"] for row in found["classes"]] == list(onnx_artifact.training.data.classes)
    assert sum(row["images"] for row in found["classes"]) == 360
    assert sum(row["correct"] for row in found["classes"]) == round(found["accuracy"] * 360)
    return path


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["evaluate", *map(str, arguments)], catch_exceptions=False)


def test_a_board_needs_the_file_alone(test_images: Path, openvino_artifact: Artifact, tmp_path: Path) -> None:
    """Another artifact of the same checkpoint, in a workspace without the checkpoint; torch is not looked for."""
    board = shutil.copytree(openvino_artifact.path, tmp_path / "made-elsewhere")
    done = evaluate(board, "--images", test_images, "--workspace", tmp_path / "runs", "--classes")
    assert done.exit_code == 0, done.output
    assert "100.00%" in done.stdout and "class" in done.stdout
    assert "360" in done.stdout


def test_the_report_shows_the_accuracy_beside_the_latency(test_images: Path, copied: Path) -> None:
    (found,) = (copied / "artifacts").glob("*-onnx")
    arguments = ["run", str(found), "--runtime", "ort", "--duration", "0.3", "--warmup", "0", "--launches", "1"]
    assert CliRunner().invoke(cli, [*arguments, "--workspace", str(copied)]).exit_code == 0
    shown = CliRunner().invoke(cli, ["report", "--json", "--workspace", str(copied)])
    (row,) = json.loads(shown.stdout)
    assert row["deployed_accuracy"] == row["test_accuracy"] and row["median_ms"] > 0


def test_wrong_answers_are_counted_and_the_artifact_is_refused(test_images: Path, copied: Path, tmp_path: Path) -> None:
    """The same network with red and blue exchanged in what is fed to it."""
    (found,) = (copied / "artifacts").glob("*-onnx")
    board = Path(shutil.copytree(found, tmp_path / "swapped"))
    made = artifact.read(board)
    mean = (0.9, 0.1, 0.5)
    artifact.write_manifest(board, replace(made, preprocessing=replace(made.preprocessing, mean=mean)))
    done = evaluate(board, "--images", test_images, "--runtime", "ort", "--workspace", tmp_path / "runs", "--json")
    assert done.exit_code == 1 and "its answers are not torch's" in done.stderr
    (row,) = json.loads(done.stdout)
    assert row["status"] == "failed" and row["evaluation"]["torch_agreement"] < 1


def test_what_stands_in_the_way_is_said(test_images: Path, onnx_artifact: Artifact, tmp_path: Path) -> None:
    nowhere = evaluate(onnx_artifact.path, "--runtime", "ort", "--workspace", tmp_path)
    assert nowhere.exit_code == 1 and "the checkpoint" in nowhere.stderr and "--images FILE" in nowhere.stderr
    for damage, says in (
        (lambda c: c[: len(c) // 2], "is not a test set"), (lambda c: b"", "is not a test set"),
    ):  # fmt: skip
        bad = tmp_path / "bad.npz"
        bad.write_bytes(damage(test_images.read_bytes()))
        done = evaluate(onnx_artifact.path, "--images", bad, "--runtime", "ort", "--workspace", tmp_path)
        assert done.exit_code == 1 and says in done.stderr and "Traceback" not in done.stderr
