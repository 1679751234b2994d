"""The TensorRT runtime under one version, and its failures; tests/adapters/test_tensorrt.py runs this for each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakecuda import cudaError_t
from helpers import network, onnx_artifact
from machine import CONTROL, CUDA, TRT, TensorRt, TensorRtExporter, expected, export, images, open_plan

from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError
from edgebench.specs import Layers, SessionOptions


@pytest.mark.parametrize("n", [1, 3, 8])
def test_numbers(source, plan, n):
    with open_plan(plan) as session:
        answer = session.run({"image": images(n)})
    assert list(answer) == ["logits"]
    np.testing.assert_allclose(answer["logits"], expected(source, images(n)), rtol=1e-6)


def test_batches_may_change_and_later_runs_change_nothing(source, plan):
    with open_plan(plan, batch=2) as session:
        sizes = [1, 8, 3, 3, 1, 2]
        answers = [session.run({"image": images(n, seed)})["logits"] for seed, n in enumerate(sizes)]
    for seed, (n, answer) in enumerate(zip(sizes, answers, strict=True)):
        np.testing.assert_allclose(answer, expected(source, images(n, seed)), rtol=1e-6)


def test_input_need_not_be_contiguous(source, plan):
    array = np.asfortranarray(images(3))
    with open_plan(plan) as session:
        np.testing.assert_allclose(session.run({"image": array})["logits"], expected(source, images(3)), rtol=1e-6)


def test_a_request_allocates_nothing_and_synchronises_once(plan):
    with open_plan(plan, batch=4) as session:
        for n in (4, 2, 4):
            CUDA.calls.clear()
            session.run({"image": images(n)})
            assert CUDA.calls == ["cudaMemcpyAsync", "cudaMemcpyAsync", "cudaStreamSynchronize"]


def test_effective(plan):
    with open_plan(plan) as session:
        effective = session.effective
    assert (effective.provider, effective.precision, effective.threads) == ("TensorRT", "fp32", None)
    assert effective.version == TRT.__version__


def test_a_plan_tells_in_what_its_layers_compute(plan, tmp_path):
    half = export(onnx_artifact(tmp_path / "half", network(half=True), "fp16"), tmp_path / "plan16", precision="fp16")
    for found, precision in ((plan, "fp32"), (half, "fp16")):
        with open_plan(found) as session:
            assert session.layers() == [Layers(precision, "TensorRT", 5)]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": images(9)}, r"'image' has the shape \(9, 3, 8, 8\).*\(1 to 8, 3, 8, 8\)"),
        ({"image": images(0)}, r"'image' has the shape \(0, "),
        ({"image": images(1)[:, :, :4]}, r"'image' has the shape \(1, 3, 4, 8\)"),
        ({"image": images(1)[0]}, r"'image' has the shape \(3, 8, 8\)"),
        ({"image": images(1).astype(np.float64)}, "'image' is float64; this plan takes float32"),
        ({"picture": images(1)}, r"\['image'\], not \['picture'\]"),
        ({"image": images(1), "more": images(1)}, "'more'"),
        ({}, r"\['image'\], not \[\]"),
    ],
)
def test_wrong_inputs_are_refused_and_leave_the_session_well(source, plan, inputs, message):
    with open_plan(plan) as session:
        with pytest.raises(EdgebenchError, match=message + r"(.|\n)*fix: "):
            session.run(inputs)
        np.testing.assert_allclose(session.run({"image": images(1)})["logits"], expected(source, images(1)), rtol=1e-6)


def test_open_for_more_than_the_plan_takes(plan):
    with pytest.raises(EdgebenchError, match="1 to 8"):
        open_plan(plan, batch=9)


def test_close_frees_everything_and_may_be_repeated(plan):
    session = open_plan(plan)
    session.run({"image": images(8)})
    assert len(CUDA.leaks()) == 5  # two tensors on both sides, one stream
    before = len(CONTROL.live)
    session.close()
    assert CUDA.leaks() == []
    assert len(CONTROL.live) == before - 3  # runtime, engine and context
    session.close()
    with pytest.raises(EdgebenchError, match="closed"):
        session.run({"image": images(1)})


# Plans from elsewhere.


@pytest.mark.parametrize(
    ("tool", "value"), [("tensorrt", "8.6.1"), ("gpu", "NVIDIA H100"), ("compute_capability", "9.0")]
)
def test_a_plan_from_elsewhere_is_refused(plan, tool, value):
    foreign = replace(plan, tools=plan.tools | {tool: value})
    with pytest.raises(Unsupported, match=rf"with {tool} {value}; here it is (.|\n)*edgebench export --target trt"):
        open_plan(foreign)


def test_a_plan_that_tells_not_where_it_is_from(source, tmp_path, plan):
    text = (plan.path / "model.engine").read_bytes().replace(TRT.__version__.encode(), b"8.6.1")
    (plan.path / "model.engine").write_bytes(text)
    with pytest.raises(BadFile, match=r"cannot load(.|\n)*\[ERROR\] .*got 8.6.1(.|\n)*edgebench export --target trt"):
        open_plan(replace(plan, tools={}))


def test_a_damaged_plan(plan):
    (plan.path / "model.engine").write_bytes(b"not a plan")
    with pytest.raises(BadFile, match="magicTag"):
        open_plan(plan)


@pytest.mark.parametrize("options", [{"precision": "fp16"}, {"extra": {"graphs": "1"}}])
def test_what_cannot_be_had_is_refused(plan, options):
    with pytest.raises((Unsupported, UsageError), match="fix: "):
        open_plan(plan, **options)
    with pytest.raises(Unsupported, match="'cpu'"):
        TensorRt().open(plan, "cpu", SessionOptions())


# CUDA's failures.


def test_no_gpu(source, plan, tmp_path):
    assert TensorRt().computes() == ("cuda",)
    CUDA.count = 0
    assert TensorRt().computes() == ()
    for attempt in (lambda: TensorRtExporter().check("fp32"), lambda: open_plan(plan)):
        with pytest.raises(Unsupported, match=r"no CUDA-capable device is detected.*\n *fix: "):
            attempt()
    with pytest.raises(EdgebenchError, match="does not start"):
        export(source, tmp_path / "another")


def test_no_driver(monkeypatch):
    def absent():
        raise RuntimeError("Failed to dlopen libcuda.so.1")

    monkeypatch.setattr(CUDA.module, "cudaGetDeviceCount", absent)
    assert TensorRt().computes() == ()
    with pytest.raises(Unsupported, match="libcuda"):
        TensorRtExporter().check("fp32")


def test_old_driver():
    CUDA.failures["cudaGetDeviceCount"] = cudaError_t.cudaErrorInsufficientDriver
    with pytest.raises(Unsupported, match="driver version is insufficient"):
        TensorRtExporter().check("fp32")


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaMallocHost", "cudaStreamCreate"])
def test_out_of_memory_on_opening_leaves_nothing_behind(plan, call):
    CUDA.failures[call] = cudaError_t.cudaErrorMemoryAllocation
    with pytest.raises(EdgebenchError, match=rf"{call} failed: .*out of memory"):
        open_plan(plan)


def test_out_of_memory_on_growing(source, plan):
    with open_plan(plan) as session:
        CUDA.failures["cudaMalloc"] = cudaError_t.cudaErrorMemoryAllocation
        with pytest.raises(EdgebenchError, match="out of memory"):
            session.run({"image": images(8)})
        CUDA.failures.clear()
        for n in (1, 8):  # 1 is what it was fitted for before
            answer = session.run({"image": images(n)})["logits"]
            np.testing.assert_allclose(answer, expected(source, images(n)), rtol=1e-6)


def test_no_room_for_a_context(plan):
    CONTROL.context_failure = "Requested amount of GPU memory could not be allocated."
    with pytest.raises(EdgebenchError, match=r"execution context(.|\n)*could not be allocated"):
        open_plan(plan)


def test_error_code_is_readable(plan):
    with open_plan(plan) as session:
        CUDA.failures["cudaMemcpyAsync"] = cudaError_t.cudaErrorIllegalAddress
        with pytest.raises(EdgebenchError, match=r"cudaMemcpyAsync failed: .*\(cudaErrorIllegalAddress\)"):
            session.run({"image": images(1)})


def test_close_frees_the_rest_when_one_call_fails(plan):
    session = open_plan(plan)
    CUDA.failures["cudaFree"] = cudaError_t.cudaErrorIllegalAddress
    with pytest.raises(EdgebenchError, match="cudaFree"):
        session.close()
    assert [leak.split()[0] for leak in CUDA.leaks()] == ["device", "device"]
    CUDA.device.clear()
