"""A plan of TensorRT-RTX, built by NVIDIA's own builder on a machine without a card: labelled as what it is."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from conftest import Command, needed

from edgebench import artifact as folder
from edgebench.machine import registry
from edgebench.specs import Artifact


@pytest.fixture(autouse=True)
def no_card() -> None:
    needed("tensorrt_rtx_libs", "TensorRT-RTX is not installed: pip install 'edgebench[tensorrt-rtx]'")
    if registry.load("exporters", "tensorrt_rtx").unrun() == "":
        pytest.skip("there is an NVIDIA card: this is about machines without one")


def test_a_plan_is_built_and_not_run_and_never_called_verified(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    asked = ("export", onnx_artifact.path, "--target", "rtx", "--workspace", tmp_path)
    done = in_process(*asked, "--device", "rtx_4060_laptop")
    assert done.returncode == 0, done.stderr
    assert "built, not run: TensorRT-RTX finds no NVIDIA card" in done.stdout and "verified" not in done.stdout
    (made,) = (folder.read(path) for path in (tmp_path / "artifacts").iterdir())
    assert made.unrun and made.tools["architectures"] == "8.9" and made.inputs == onnx_artifact.inputs
    assert (made.path / "model.engine").stat().st_size > 10_000
    done = in_process("run", made.path, "--workspace", tmp_path)
    assert done.returncode == 1 and "no artifact can be run" not in done.stdout
    done = in_process(*asked)
    assert done.returncode != 0 and "for which card is the plan?" in done.stderr and "--device" in done.stderr


def test_bf16_within_is_what_nvidias_parser_takes(onnx_artifact: Artifact, tmp_path: Path) -> None:
    from edgebench.exporters import tensorrt_plan

    path = tensorrt_plan.handed(onnx_artifact, "bf16", tmp_path)
    kinds = {weight.data_type for weight in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.BFLOAT16 in kinds and onnx.TensorProto.FLOAT not in kinds
