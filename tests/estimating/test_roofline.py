"""The floor: products counted as torch counts them, bytes as they lie in the file, and never a peak that is a guess."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from factories import make_artifact, make_result
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgebench.cli import cli
from edgebench.errors import BadFile, EdgebenchError, Unsupported
from edgebench.estimating import foreign_layers, host_peaks, onnx_layers, roofline
from edgebench.estimating.onnx_layers import Layer
from edgebench.machine.device import available_cores
from edgebench.machine.profiles import load_profile


def model(path: Path, nodes: list, weights: dict[str, np.ndarray], inputs=("batch", 4, 8, 8), kind=TensorProto.FLOAT):
    """An ONNX file of these nodes, from "x" to "y"."""
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", kind, inputs)], [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("nodes", "weights", "macs", "weight_bytes"),
    [
        # 6 maps of 4 × 4, each of 4 · 3 · 3 products; the bias of 6 is read too
        ([helper.make_node("Conv", ["x", "w", "b"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1])],
         {"w": floats(6, 4, 3, 3), "b": floats(6)}, 6 * 16 * 36, (216 + 6) * 4),
        # depthwise: one map sees one map
        ([helper.make_node("Conv", ["x", "w"], ["y"], group=4, pads=[1, 1, 1, 1])],
         {"w": floats(4, 1, 3, 3)}, 4 * 64 * 9, 36 * 4),
        ([helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])],
         {"w": floats(4, 5, 2, 2)}, 4 * 64 * 5 * 4, 80 * 4),
        ([helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1)],
         {"w": floats(10, 256), "b": floats(10)}, 2560, 2570 * 4),
        # attention: both sides are activations, so that no weights are read
        ([helper.make_node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]),
          helper.make_node("MatMul", ["x", "t"], ["y"])],
         {}, 4 * 8 * 8 * 8, 0),
        ([helper.make_node("Relu", ["x"], ["y"])], {}, 0, 0),
    ],
    ids=["conv", "depthwise", "transposed", "gemm", "attention", "relu"],
)  # fmt: skip
def test_products_and_bytes_are_those_of_a_hand_count(nodes, weights, macs, weight_bytes, tmp_path):
    path = model(tmp_path / "m.onnx", nodes, weights)
    found = onnx_layers.layers(path)
    assert (sum(layer.macs for layer in found), sum(layer.weight_bytes for layer in found)) == (macs, weight_bytes)
    many = onnx_layers.layers(path, batch=3)
    assert sum(layer.macs for layer in many) == 3 * macs
    assert sum(layer.weight_bytes for layer in many) == weight_bytes, "weights are read once a batch"


def test_quantized_layers_are_int8_and_their_weights_a_byte_each(tmp_path):
    scale, zero = np.float32(0.1), np.int8(0)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["wq", "s", "z"], ["wd"]),
        helper.make_node("Conv", ["xd", "wd"], ["c"]),
        helper.make_node("Conv", ["c", "v"], ["y"]),
    ]
    weights = {
        "s": np.array(scale),
        "z": np.array(zero),
        "wq": np.zeros((2, 4, 1, 1), np.int8),
        "v": floats(3, 2, 1, 1),
    }
    first, second = onnx_layers.layers(model(tmp_path / "m.onnx", nodes, weights))
    assert (first.precision, first.weight_bytes, second.precision, second.weight_bytes) == ("int8", 8, "fp32", 24)


def test_half_precision_is_read_from_the_tensors(tmp_path):
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, {"w": np.zeros((2, 4, 1, 1), np.float16)}, kind=TensorProto.FLOAT16)
    (layer,) = onnx_layers.layers(path)
    assert (layer.precision, layer.weight_bytes) == ("fp16", 16)


def test_of_a_foreign_model_what_cannot_be_counted_is_told(tmp_path):
    inner = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["in"])], "then", [], [helper.make_tensor_value_info("in", 1, None)]
    )
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("If", ["yes"], ["i"], then_branch=inner, else_branch=inner),
        helper.make_node("NonZero", ["c"], ["places"]),  # as many as there are
        helper.make_node("Cast", ["places"], ["floats"], to=1),
        helper.make_node("MatMul", ["v", "floats"], ["m"]),
        helper.make_node("LSTM", ["s", "s", "s"], ["y"], hidden_size=1),
    ]
    weights = {"w": floats(2, 4, 1, 1), "v": floats(1, 4), "yes": np.array(True), "s": floats(1, 4, 1)}
    path = model(tmp_path / "m.onnx", nodes, weights, ("batch", 4, "height", "width"))
    answer = foreign_layers.perform(path, foreign_layers.Sizes({"x": (1, 4, 3, 5)}))
    assert [layer.macs for layer in answer.counted.layers] == [2 * 4 * 15]
    assert answer.counted.uncounted == {"Conv": 2, "MatMul": 1, "LSTM": 1}
    floor = roofline.floor(answer.counted.layers, roofline.Roof({"fp32": 1.0}, 1.0, 0, "here"), {"LSTM": 1, "Conv": 2})
    assert floor.missing == ("not counted, so the floor is lower: 2 Conv, 1 LSTM",)
    with pytest.raises(Unsupported, match=r"no layer can be counted \(1 LSTM\)"):
        roofline.floor([], floor.roof, {"LSTM": 1})
    (tmp_path / "broken.onnx").write_bytes(path.read_bytes()[:60])
    assert "not an ONNX model" in foreign_layers.perform(tmp_path / "broken.onnx", foreign_layers.Sizes()).error


def test_what_cannot_be_counted_is_refused(tmp_path, monkeypatch):
    conv = [helper.make_node("Conv", ["x", "w"], ["y"])]
    open_size = model(tmp_path / "open.onnx", conv, {"w": floats(2, 4, 1, 1)}, ("batch", 4, "h", "w"))
    with pytest.raises(BadFile, match="not fixed"):
        onnx_layers.layers(open_size)
    fixed = model(tmp_path / "fixed.onnx", conv, {"w": floats(2, 4, 1, 1)}, (2, 4, 8, 8))
    with pytest.raises(BadFile, match="batches of 2, not of 1"):
        onnx_layers.layers(fixed)
    (tmp_path / "broken.onnx").write_bytes(fixed.read_bytes()[:60])
    with pytest.raises(BadFile, match="not an ONNX model"):
        onnx_layers.layers(tmp_path / "broken.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(Unsupported, match="not installed") as refused:
        onnx_layers.layers(fixed)
    assert "edgebench[onnx]" in refused.value.fix


LAYERS = [
    Layer(name="a", operator="Conv", macs=1_000_000, weight_bytes=400_000, precision="fp32"),
    Layer(name="b", operator="Gemm", macs=100_000, weight_bytes=4_000_000, precision="fp32"),
]
ROOF = roofline.Roof({"fp32": 100.0}, 10.0, 0, "declared by a test")


def test_each_layer_is_bounded_by_what_is_slower():
    floor = roofline.floor(LAYERS, ROOF)
    # 2 MFLOP at 100 GFLOP/s are 20 µs, 0.4 MB at 10 GB/s 40 µs; 2 µs and 400 µs
    assert [(layer.floor_us, layer.bound) for layer in floor.layers] == [(40, "memory"), (400, "memory")]
    assert floor.floor_ms == 0.44 and floor.evidence == "estimated-floor" and floor.missing == ()
    faster = roofline.floor(LAYERS, replace(ROOF, bandwidth_gb_s=1000.0))
    assert [(layer.floor_us, layer.bound) for layer in faster.layers] == [(20, "compute"), (4, "memory")]


def test_weights_that_fit_the_cache_are_not_read_from_memory():
    assert roofline.floor(LAYERS, replace(ROOF, cache_bytes=4_400_000)).floor_ms == 0.022
    assert roofline.floor(LAYERS, replace(ROOF, cache_bytes=2_200_000)).floor_ms == pytest.approx(0.22)


def test_a_peak_that_is_not_known_is_said_and_not_guessed():
    halves = [replace(layer, precision="fp16") for layer in LAYERS]
    floor = roofline.floor([*LAYERS, *halves], ROOF)
    assert floor.missing == ("no peak for fp16: only memory bounds these layers",)
    assert [layer.bound for layer in floor.layers] == ["memory"] * 4
    alone = roofline.floor(LAYERS, replace(ROOF, bandwidth_gb_s=None))
    assert alone.floor_ms == 0.022 and "no memory bandwidth" in alone.missing[0]
    with pytest.raises(Unsupported, match="no floor") as refused:
        roofline.floor(halves, replace(ROOF, bandwidth_gb_s=None))
    assert "[peaks]" in refused.value.fix
    with pytest.raises(Unsupported):
        roofline.floor(LAYERS, roofline.of_profile(load_profile("cpu")))


def test_the_orin_nanos_peaks_are_those_of_its_profile():
    roof = roofline.of_profile(load_profile("jetson_orin_nano"))
    assert (roof.gflops, roof.bandwidth_gb_s) == ({"fp32": 2080, "int8": 33000}, 102)
    (layer,) = roofline.floor(
        [Layer(name="a", operator="Conv", macs=2_080_000_000, weight_bytes=1, precision="fp32")], roof
    ).layers
    assert layer.floor_us == pytest.approx(2000)


sizes = st.integers(0, 10**9)
some_layers = st.lists(
    st.builds(
        Layer, name=st.just("l"), operator=st.just("Conv"), macs=sizes, weight_bytes=sizes,
        precision=st.sampled_from(["fp32", "fp16", "int8"]),
    ),
    max_size=6,
)  # fmt: skip
roofs = st.builds(
    roofline.Roof, st.dictionaries(st.sampled_from(["fp32", "fp16", "int8"]), st.floats(0.1, 1e6)),
    st.none() | st.floats(0.1, 1e4), st.integers(0, 2**30), st.just("a test"),
)  # fmt: skip


@given(some_layers, roofs)
def test_a_floor_is_above_neither_bound_alone_and_falls_as_peaks_rise(layers, roof):
    try:
        floor = roofline.floor(layers, roof)
    except EdgebenchError:
        return
    computing = sum(2 * layer.macs / roof.gflops[layer.precision] for layer in layers if layer.precision in roof.gflops)
    assert floor.floor_ms * 1e6 >= computing * (1 - 1e-9)
    better = replace(roof, gflops={p: 2 * g for p, g in roof.gflops.items()}, cache_bytes=2 * roof.cache_bytes)
    assert roofline.floor(layers, better).floor_ms <= floor.floor_ms * (1 + 1e-9)


def test_the_benchmark_of_this_machine_is_plausible(tmp_path):
    cache = tmp_path / "sys/devices/system/cpu/cpu0/cache"
    for n, size in enumerate(("32K", "512K", "16384K", "odd")):
        (cache / f"index{n}").mkdir(parents=True)
        (cache / f"index{n}/size").write_text(size)
    found = host_peaks.measure_here(0.05, tmp_path)
    assert found.cores == available_cores(tmp_path) and found.cache_bytes == 2**24
    assert 0.1 < found.fp32_gflops < 1e5 and 0.05 < found.bandwidth_gb_s < 1e4


def test_a_benchmark_that_dies_is_an_error_with_a_way_out(monkeypatch):
    monkeypatch.setattr(host_peaks.sys, "executable", "false")
    with pytest.raises(EdgebenchError, match="failed") as failed:
        host_peaks.measure(0.01)
    assert failed.value.fix == "--no-here"


def test_only_measured_latencies_of_the_same_model_are_held_against_a_floor():
    model = make_artifact(origin="abc")
    old = make_result(model, created="2026-01-01", runtime="onnxruntime")
    new = make_result(replace(model, format="openvino"), created="2026-01-02", runtime="openvino")
    others = [
        make_result(model, evidence="emulated"), make_result(model, evidence="scripted"), make_result(model, batch=2),
        make_result(model, status="failed"), make_result(model, scenario="camera"),
        make_result(replace(model, precision="int8")), make_result(replace(model, origin="another")),
    ]  # fmt: skip
    found = roofline.held([old, *others, new], model, 1, floor_ms=0.5)
    assert [(one.runtime, one.created) for one in found] == [("openvino", "2026-01-02"), ("onnxruntime", "2026-01-01")]
    assert found[0].ratio == new.summary.median_ns / 5e5


def test_an_artifact_that_is_no_onnx_needs_one(tmp_path):
    plan = make_artifact(tmp_path / "plan", format="tensorrt")
    where = ("--workspace", str(tmp_path / "runs"))
    done = CliRunner().invoke(cli, ["estimate", str(plan.path), "--device", "jetson_orin", "--no-here", *where])
    assert done.exit_code == 2 and "export --target onnx" in done.output
    assert CliRunner().invoke(cli, ["estimate", str(plan.path), "--no-here", *where]).exit_code == 2
