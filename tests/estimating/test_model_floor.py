"""Which artifact the layers are read from, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_artifact

from edgebench.errors import UsageError
from edgebench.estimating import model_floor
from edgebench.records.adopted import Adopted
from edgebench.records.workspace import Workspace


@pytest.mark.parametrize(
    ("format", "adopted", "fix"),
    [
        ("openvino", False, "edgebench export --target onnx"), ("openvino", True, "that it was converted from"),
        ("tflite", True, "that it was converted from"), ("checkpoint", True, "edgebench export --target onnx"),
        ("pt2", True, "edgebench export --target onnx"),
    ],
)  # fmt: skip
def test_a_model_without_onnx_is_told_what_would_have_it(format: str, adopted: bool, fix: str, tmp_path: Path) -> None:
    known = Adopted(file="net", reference="r", inputs="synthetic", seed=0, requests=8) if adopted else None
    found = make_artifact(tmp_path / "made", adopted=known, format=format)
    with pytest.raises(UsageError, match=f"is {format}: its layers are read from an ONNX") as caught:
        model_floor.estimate([found], Workspace(tmp_path), device="jetson_orin")
    assert fix in caught.value.fix
