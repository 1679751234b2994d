"""The TensorRT exporter under one version; tests/adapters/test_tensorrt.py runs this for each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from helpers import CLASSES, IMAGE, network, onnx_artifact, quantized
from machine import BINDINGS, CONTROL, CUDA, TRT, TensorRt, expected, export, images, open_plan

from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.records.adopted import Adopted
from edgebench.specs import TensorSpec


def test_version():
    assert TRT.__version__ == BINDINGS.name == TensorRt().version()


def test_export_says_what_it_made(source, plan):
    assert plan.inputs == (TensorSpec("image", "float32", ("batch", *IMAGE)),)
    assert plan.outputs == (TensorSpec("logits", "float32", ("batch", CLASSES)),)
    assert plan.tools == {"tensorrt": TRT.__version__, "gpu": "Orin", "compute_capability": "8.7"}
    assert list(plan.files) == ["model.engine"]
    assert plan.precision == "fp32"


def test_network_is_strongly_typed_and_fp32_is_fp32(plan):
    assert CONTROL.networks[0].get_flag(TRT.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert CONTROL.networks[0]._flags.bit_count() == 1
    assert CONTROL.configs[0]._flags == set()


@pytest.mark.parametrize(("max_batch", "profile"), [(1, (1, 1, 8)), (4, (1, 1, 8)), (32, (1, 1, 32))])
def test_profile_follows_max_batch(source, tmp_path, max_batch, profile):
    export(source, tmp_path / "plan", max_batch=max_batch)
    assert CONTROL.configs[0]._profiles == [{"image": tuple((n, *IMAGE) for n in profile)}]


def test_workspace_option(source, tmp_path):
    export(source, tmp_path / "plan", extra={"workspace_mb": "256"})
    assert CONTROL.configs[0]._pools == {TRT.MemoryPoolType.WORKSPACE: 256 << 20}


def test_a_dla_core_takes_what_it_can_and_the_session_says_so(tmp_path, monkeypatch):
    half = onnx_artifact(tmp_path / "half", network(half=True), "fp16")
    with pytest.raises(Unsupported, match="no DLA core 0"):
        export(half, tmp_path / "none", precision="fp16", extra={"dla": "0"})
    monkeypatch.setattr(CUDA, "dla_cores", 2)
    plan = export(half, tmp_path / "plan", precision="fp16", extra={"dla": "1"})
    config = CONTROL.configs[-1]
    assert (config.default_device_type, config.DLA_core) == (TRT.DeviceType.DLA, 1)
    assert config._flags == {TRT.BuilderFlag.GPU_FALLBACK} and plan.tools["dla"] == "1"
    with open_plan(plan) as session:
        assert session.effective.provider == "TensorRT (DLA 1, GPU fallback)"


@pytest.mark.parametrize("core", ["-1", "two", "", "1.0", "²"])
def test_a_dla_core_is_a_number(source, tmp_path, core):
    with pytest.raises(UsageError, match="dla="):
        export(source, tmp_path / "plan", extra={"dla": core})


def test_a_dla_does_not_compute_in_fp32(source, tmp_path):
    with pytest.raises(Unsupported, match="fp16 or int8"):
        export(source, tmp_path / "plan", extra={"dla": "0"})


@pytest.mark.parametrize("extra", [{"workspace": "1"}, {"workspace_mb": "0"}, {"workspace_mb": "much"}])
def test_wrong_option_is_refused(source, tmp_path, extra):
    with pytest.raises(UsageError, match=r"workspace(.|\n)*fix: "):
        export(source, tmp_path / "plan", extra=extra)


def test_precision_is_the_files(source, tmp_path):
    with pytest.raises(Unsupported, match="fp32, not fp16"):
        export(source, tmp_path / "plan", precision="fp16")


def test_fp16_stays_fp16(tmp_path):
    half = onnx_artifact(tmp_path / "half", network(half=True), "fp16")
    plan = export(half, tmp_path / "plan", precision="fp16")
    assert (plan.precision, plan.inputs[0].dtype) == ("fp16", "float16")
    with open_plan(plan) as session:
        array = images(2, dtype=np.float16)
        np.testing.assert_array_equal(session.run({"image": array})["logits"], expected(half, array))
        assert session.effective.precision == "fp16"


@pytest.mark.parametrize("zero", [np.uint8(0), np.uint8(3), np.int8(-128), np.int8(0)])
def test_int8_has_no_zero_points_in_a_plan(tmp_path, zero):
    source = onnx_artifact(tmp_path / "onnx", quantized(zero), "int8")
    plan = export(source, tmp_path / "plan", precision="int8")
    array = images(4)
    with open_plan(plan) as session:
        got = session.run({"image": array})["logits"]
    want = expected(source, array)
    assert np.abs(got - want).max() < 0.01 * np.abs(want).max()  # other steps between the same ends


def test_weights_with_a_zero_point_are_refused(tmp_path):
    model = quantized(np.uint8(3))
    model.graph.node[2].input[0] = "offset"
    with pytest.raises(Unsupported, match=r"'q' have a zero point(.|\n)*fix: "):
        export(onnx_artifact(tmp_path / "onnx", model, "int8"), tmp_path / "plan", precision="int8")


def test_weights_beside_the_onnx_file_are_found(tmp_path):
    source = onnx_artifact(
        tmp_path / "external", network(), save_as_external_data=True, location="model.data", size_threshold=0
    )
    assert "model.data" in source.files
    with open_plan(export(source, tmp_path / "plan")) as session:
        np.testing.assert_allclose(session.run({"image": images(1)})["logits"], expected(source, images(1)), rtol=1e-6)


def test_static_batch(tmp_path):
    source = onnx_artifact(tmp_path / "static", network(batch=2))
    with open_plan(export(source, tmp_path / "plan")) as session:
        assert CONTROL.configs[0]._profiles == []
        np.testing.assert_allclose(session.run({"image": images(2)})["logits"], expected(source, images(2)), rtol=1e-6)
        with pytest.raises(EdgebenchError, match=r"takes \(2, 3, 8, 8\)"):
            session.run({"image": images(1)})


def test_only_the_batch_may_vary(tmp_path):
    model = network()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(Unsupported, match=r"'image'.*more than its batch"):
        export(onnx_artifact(tmp_path / "onnx", model), tmp_path / "plan")


def test_an_adopted_model_gets_the_sizes_that_it_was_adopted_with(tmp_path):
    model = network()
    for axis, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    found = onnx_artifact(tmp_path / "onnx", model)
    shape = ("batch", 3, "height", "width")
    known = Adopted(file="model.onnx", reference="onnxruntime 1", inputs="synthetic", seed=0, requests=2, batch=2)
    adopted = replace(
        found, training=None, adopted=known, inputs=(replace(found.inputs[0], shape=shape, sizes=(2, 3, 6, 10)),)
    )
    plan = export(adopted, tmp_path / "plan")
    assert CONTROL.configs[0]._profiles == [{"image": ((2, 3, 6, 10),) * 3}]
    assert (plan.inputs, plan.outputs) == (adopted.inputs, adopted.outputs)
    with open_plan(plan, batch=2) as session:
        array = np.random.default_rng(0).normal(size=(2, 3, 6, 10)).astype(np.float32)
        np.testing.assert_allclose(session.run({"image": array})["logits"], expected(adopted, array), rtol=1e-6)
        with pytest.raises(EdgebenchError, match=r"takes \(2, 3, 6, 10\)"):
            session.run({"image": images(2)})


def test_a_type_that_numpy_lacks_is_refused(tmp_path):
    model = network()
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16
    with pytest.raises(Unsupported, match="'image' is BF16"):
        export(onnx_artifact(tmp_path / "onnx", model), tmp_path / "plan")


def test_parse_errors_surface(tmp_path):
    source = onnx_artifact(tmp_path / "onnx", network(domain="elsewhere"))
    with pytest.raises(EdgebenchError, match=r"node 1 'relu' \(Relu\): No importer registered(.|\n)*fix: "):
        export(source, tmp_path / "plan")


def test_build_failure_surfaces(source, tmp_path):
    CONTROL.build_failure = "Could not find any implementation for node conv."
    with pytest.raises(EdgebenchError, match=r"cannot build(.|\n)*\[ERROR\] Could not find(.|\n)*fix: .*workspace_mb"):
        export(source, tmp_path / "plan")
    assert not list((tmp_path / "plan").iterdir())
