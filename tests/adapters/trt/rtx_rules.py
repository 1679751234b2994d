"""TensorRT-RTX's adapters over its real bindings; test_tensorrt.py runs this. Plans run on the stand-in's card."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from edgebench.exporters.tensorrt_rtx import TensorRtRtxExporter
from edgebench.runtimes.tensorrt_rtx import TensorRtRtx
from engine import MAGIC
from helpers import folder, network, onnx_artifact, quantized
from machine import CONTROL, CUDA, TRT, expected, images

from edgebench.errors import Unsupported, UsageError
from edgebench.specs import ExportOptions, SessionOptions


@pytest.fixture(autouse=True)
def card(monkeypatch):
    """An RTX card of Ada's architecture, which a robot may carry."""
    monkeypatch.setattr(CUDA, "capability", (8, 9))
    monkeypatch.setattr(CUDA, "gpu", b"RTX 4060 Laptop")


def export(source, out, **options):
    out.mkdir()
    return folder(out, "tensorrt_rtx", TensorRtRtxExporter().export(source, out, ExportOptions(**options)))


def open_plan(plan):
    return TensorRtRtx().open(plan, "cuda", SessionOptions(precision=plan.precision))


def built_for(plan):
    header = (plan.path / "model.engine").read_bytes()[len(MAGIC) :].partition(b"\0")[0]
    return json.loads(header)["serves"]


def test_a_plan_is_for_the_card_here_and_answers_as_the_onnx_file(source, tmp_path):
    plan = export(source, tmp_path / "plan")
    assert built_for(plan) == ["8.9"] and plan.tools == {"tensorrt_rtx": TRT.__version__, "architectures": "8.9"}
    assert CONTROL.configs[0]._flags == set() and TensorRtRtxExporter().unrun() == ""
    with open_plan(plan) as session:
        answer = session.run({"image": images(3)})["logits"]
        assert session.effective.provider == "TensorRT-RTX"
    np.testing.assert_allclose(answer, expected(source, images(3)), rtol=1e-6)


def test_without_a_card_it_is_built_for_the_device_and_not_run(source, tmp_path, monkeypatch):
    monkeypatch.setattr(CUDA, "count", 0)
    plan = export(source, tmp_path / "plan", architecture="12.1")
    assert built_for(plan) == ["12.1"] and "no NVIDIA card" in TensorRtRtxExporter().unrun()
    with pytest.raises(UsageError, match=r"for which card(.|\n)*arch=8.9(.|\n)*--device"):
        export(source, tmp_path / "unknown")
    with pytest.raises(Unsupported, match="no usable NVIDIA GPU"):
        open_plan(plan)


@pytest.mark.parametrize(
    ("asked", "serves"), [("8.6,12.0", ["8.6", "12.0"]), ("all", ["7.5", "8.0", "8.6", "8.9", "12.0", "12.1"])]
)
def test_arch_names_one_several_or_all(source, tmp_path, asked, serves):
    plan = export(source, tmp_path / "plan", extra={"arch": asked})
    assert built_for(plan) == serves and plan.tools["architectures"] == ", ".join(serves)


@pytest.mark.parametrize("asked", ["8.7", "89", "SM89", "8.9,", "every"])
def test_another_architecture_is_refused(source, tmp_path, asked):
    with pytest.raises(UsageError, match=r"builds for no card of architecture(.|\n)*fix: arch=8.9"):
        export(source, tmp_path / "plan", extra={"arch": asked})


def test_a_plan_of_another_card_or_version_is_refused(source, tmp_path):
    with pytest.raises(Unsupported, match=r"built for the architectures 12\.0; the card here has 8\.9"):
        open_plan(export(source, tmp_path / "other", extra={"arch": "12.0"}))
    plan = export(source, tmp_path / "plan")
    with pytest.raises(Unsupported, match=r"built with TensorRT-RTX 1\.0; here it is"):
        open_plan(replace(plan, tools=plan.tools | {"tensorrt_rtx": "1.0"}))


def test_bf16_is_made_of_fp32_and_computes_in_it(source, tmp_path):
    plan = export(source, tmp_path / "plan", precision="bf16")
    model = onnx.load_model_from_string((plan.path / "model.engine").read_bytes().partition(b"\0")[2])
    kinds = {onnx.TensorProto.DataType.Name(weight.data_type) for weight in model.graph.initializer}
    assert kinds == {"BFLOAT16"} and plan.precision == "bf16" and plan.inputs[0].dtype == "float32"
    with pytest.raises(Unsupported, match="which is fp32, not fp16"):
        export(source, tmp_path / "fp16", precision="fp16")


def test_int8_has_no_zero_points_in_a_plan(tmp_path):
    source = onnx_artifact(tmp_path / "onnx", quantized(np.uint8(0)), "int8")
    with open_plan(export(source, tmp_path / "plan", precision="int8")) as session:
        got = session.run({"image": images(4)})["logits"]
    want = expected(source, images(4))
    assert np.abs(got - want).max() < 0.01 * np.abs(want).max()


def test_the_contract_of_runtimes(source, tmp_path):
    plan = export(onnx_artifact(tmp_path / "again", network()), tmp_path / "plan")
    assert TensorRtRtx().computes() == ("cuda",)
    with open_plan(plan) as session:
        first = session.run({"image": images(1)})["logits"]
        session.run({"image": images(2, seed=1)})
        np.testing.assert_allclose(first, expected(source, images(1)), rtol=1e-6)
        assert session.layers()[0].provider == "TensorRT-RTX"
