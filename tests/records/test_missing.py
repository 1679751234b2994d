"""What is offered for a path that does not exist: near names where it may lie, else how such a thing is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebench import artifact
from edgebench.adopting import adopt
from edgebench.errors import BadFile
from edgebench.records.workspace import Workspace

ONNX, CHECKPOINT = "runs/artifacts/320n-438be754-onnx", "runs/checkpoints/resnet18-pets-0a1b2c3d"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    for name in (ONNX, "runs/artifacts/.adopting-1", CHECKPOINT, "models"):
        Path(name).mkdir(parents=True)
    for name in ("yolo11n.onnx", "other.tflite"):
        Path("models", name).touch()
    return Workspace(Path("runs"))


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("nosuch.onnx", "check the path"),
        ("models/nosuch.onnx", "check the path"),
        ("models/yolo11m.onnx", "check the path; did you mean models/yolo11n.onnx?"),
        ("models/other.onnx", "check the path; did you mean models/other.tflite?"),
        ("modells/yolo11n.onnx", "check the path: there is no folder modells"),
        ("320n-438be754", f"did you mean {ONNX}?"),
        ("runs/artifacts/320n-438be754", f"did you mean {ONNX}?"),
        ("runs/artifacts/320n-438be745-onnx", f"did you mean {ONNX}?"),
        ("resnet18-pets", f"did you mean {CHECKPOINT}?"),
        ("nowhere", "`edgebench train` makes a checkpoint, `edgebench export` an artifact"),
    ],
)
def test_a_path_that_does_not_exist_offers_what_is_near(given: str, fix: str, here: Workspace) -> None:
    with pytest.raises(BadFile, match=r"does not exist") as told:
        adopt.read(Path(given), here)
    assert told.value.fix.removesuffix(", `edgebench adopt FILE` one of a model file") == fix


def test_every_reader_of_paths_says_the_same(here: Workspace) -> None:
    for read in (adopt.adopter, artifact.read, lambda path: adopt.adopt(path, here)):
        with pytest.raises(BadFile, match=r"check the path; did you mean models/yolo11n\.onnx\?"):
            read(Path("models/yolo11m.onnx"))
