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
from edgebench.estimating import foreign_layers, host_peaks, model_floor, onnx_layers, roofline
from edgebench.estimating.onnx_layers import Layer
from edgebench.machine.device import available_cores
from edgebench.machine.profiles import load_profile, profile_names


def model(path: Path, nodes: list, weights: dict[str, np.ndarray], inputs=("batch", 4, 8, 8), kind=TensorProto.FLOAT):
    """An ONNX file of these nodes, from "x" to "y"."""
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", kind, inputs)], [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    return path


def roof(bandwidth: float | None = 1.0, **gflops: float) -> roofline.Roof:
    return roofline.Roof(
        gflops=gflops, bandwidth_gb_s=bandwidth, cache_bytes=0, source="declared by a test", fix="declare it"
    )


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
    floor = roofline.floor(answer.counted.layers, roof(fp32=1.0), {"LSTM": 1, "Conv": 2})
    assert floor.uncounted == "not counted, so the floor is lower: 2 Conv, 1 LSTM"
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
ROOF = roof(10.0, fp32=100.0)


def test_each_layer_is_bounded_by_what_is_slower():
    floor = roofline.floor(LAYERS, ROOF)
    # 2 MFLOP at 100 GFLOP/s are 20 µs, 0.4 MB at 10 GB/s 40 µs; 2 µs and 400 µs
    assert [(layer.floor_us, layer.bound) for layer in floor.layers] == [(40, "memory"), (400, "memory")]
    assert floor.floor_ms == 0.44 and floor.evidence == "estimated-floor" and not floor.uncounted
    faster = roofline.floor(LAYERS, replace(ROOF, bandwidth_gb_s=1000.0))
    assert [(layer.floor_us, layer.bound) for layer in faster.layers] == [(20, "compute"), (4, "memory")]


def test_weights_that_fit_the_cache_are_not_read_from_memory():
    assert roofline.floor(LAYERS, replace(ROOF, cache_bytes=4_400_000)).floor_ms == 0.022
    assert roofline.floor(LAYERS, replace(ROOF, cache_bytes=2_200_000)).floor_ms == pytest.approx(0.22)


@pytest.mark.parametrize(
    ("layers", "below", "absent"),
    [
        ([*LAYERS, replace(LAYERS[0], precision="fp16")], ROOF, "no peak for fp16"),
        ([replace(layer, precision="int8") for layer in LAYERS], ROOF, "no peak for int8"),
        (LAYERS, replace(ROOF, bandwidth_gb_s=None), "no memory bandwidth"),
        (LAYERS, roof(None), "no peak for fp32 and no memory bandwidth"),
    ],
)
def test_with_one_of_its_roofs_missing_there_is_no_floor(layers, below, absent):
    with pytest.raises(Unsupported, match=f"there is no floor: {absent} declared by a test") as refused:
        roofline.floor(layers, below)
    assert refused.value.fix == "declare it"


def test_a_roof_that_no_layer_reaches_may_be_missing():
    assert roofline.floor(LAYERS, replace(ROOF, bandwidth_gb_s=None, cache_bytes=5_000_000)).floor_ms == 0.022


NO_PEAKS = {
    "cpu", "cuda", "dgx_spark", "igx_orin", "intel_core_ultra", "intel_n100", "jetson_orin_industrial", "jetson_t2000",
    "jetson_t3000", "jetson_t4000", "jetson_tx1", "jetson_tx2", "rk3588",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(profile_names()))
def test_each_profile_has_both_roofs_or_says_what_is_missing(name):
    declared = roofline.of_profile(load_profile(name))
    try:
        floor = roofline.floor(LAYERS, declared)
    except Unsupported as error:
        assert name in NO_PEAKS and "[peaks]" in error.fix
    else:
        assert declared.gflops["fp32"] and declared.bandwidth_gb_s and floor.floor_ms > 0


@pytest.mark.parametrize(("name", "fp32_ms"), [("raspberry_pi_5", 2 / 153.6), ("raspberry_pi_4", 2 / 57.6)])
def test_the_raspberries_compute_no_faster_than_their_cores_issue(name, fp32_ms):
    (layer,) = roofline.floor([replace(LAYERS[0], macs=10**9)], roofline.of_profile(load_profile(name))).layers
    assert (layer.bound, layer.floor_us / 1e6) == ("compute", pytest.approx(fp32_ms))


def test_a_device_without_a_floor_does_not_hide_that_of_this_machine(tmp_path, monkeypatch):
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    path = model(tmp_path / "m.onnx", nodes, {"w": floats(2, 4, 1, 1)}, (1, 4, 8, 8))
    profile = tmp_path / "half.toml"
    profile.write_text(
        'schema = 1\ntitle = "Half"\ncompute = "cpu"\nruntimes = ["onnxruntime"]\nprecisions = ["fp32"]\n'
        "[match]\nany = true\n[memory]\nbandwidth_gb_s = 17\n"
    )
    peaks = host_peaks.HostPeaks(fp32_gflops=10.0, bandwidth_gb_s=10.0, cores=1, cache_bytes=0)
    monkeypatch.setattr(model_floor, "_benchmark", lambda on_wait: (peaks, ""))
    asked = ["estimate", str(path), "--device", str(profile), "--workspace", str(tmp_path / "runs")]
    shown = CliRunner().invoke(cli, asked)
    assert shown.exit_code == 0, shown.output
    assert "(Half): there is no floor: no peak for fp32" in shown.stdout and "[peaks]" in shown.stdout
    assert "on this machine: no faster than" in shown.stdout
    refused = CliRunner().invoke(cli, [*asked, "--no-here"])
    assert refused.exit_code and "there is no floor: no peak for fp32" in refused.stderr


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
    roofline.Roof, gflops=st.dictionaries(st.sampled_from(["fp32", "fp16", "int8"]), st.floats(0.1, 1e6)),
    bandwidth_gb_s=st.none() | st.floats(0.1, 1e4), cache_bytes=st.integers(0, 2**30), source=st.just("a test"),
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
    old = make_result(model, created="2026-01-01T00:00:00.000000+00:00", runtime="onnxruntime")
    new = make_result(replace(model, format="openvino"), created="2026-01-02T00:00:00.000000+00:00", runtime="openvino")
    others = [
        make_result(model, evidence="emulated"), make_result(model, evidence="scripted"), make_result(model, batch=2),
        make_result(model, status="failed"), make_result(model, scenario="camera"),
        make_result(replace(model, precision="int8")), make_result(replace(model, origin="another")),
    ]  # fmt: skip
    found = roofline.held([old, *others, new], model, 1, floor_ms=0.5)
    assert [(one.runtime, one.created) for one in found] == [("openvino", new.created), ("onnxruntime", old.created)]
    assert found[0].ratio == new.summary.median_ns / 5e5


def test_an_artifact_that_is_no_onnx_needs_one(tmp_path):
    plan = make_artifact(tmp_path / "plan", format="tensorrt")
    where = ("--workspace", str(tmp_path / "runs"))
    done = CliRunner().invoke(cli, ["estimate", str(plan.path), "--device", "jetson_orin", "--no-here", *where])
    assert done.exit_code == 2 and "export --target onnx" in done.output
    assert CliRunner().invoke(cli, ["estimate", str(plan.path), "--no-here", *where]).exit_code == 2
