"""OpenVINO beyond the CPU, as far as it can be seen without an Intel GPU or NPU: what is asked, told and refused."""

from __future__ import annotations

from pathlib import Path

import openvino
import pytest
from edgebench.runtimes import openvino_devices, openvino_layers
from edgebench.runtimes.openvino import OpenVino

from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.specs import Artifact, Layers, SessionOptions

NO_LOADER = "Cannot load library libopenvino_intel_gpu_plugin.so: libOpenCL.so.1: cannot open shared object file"


class Core:
    """The core of a machine with these devices; asking after the others raises what it says of them."""

    def __init__(self, devices: list[str], broken: dict[str, str] | None = None) -> None:
        self.available_devices, self._broken = devices, broken or {}

    def get_property(self, device: str, name: str) -> list[str]:
        if device in self._broken:
            raise RuntimeError(self._broken[device])
        return []


class Compiled:
    """A compiled model that tells these properties."""

    def __init__(self, **told: object) -> None:
        self._told = told | {"SUPPORTED_PROPERTIES": list(told)}

    def get_property(self, name: str) -> object:
        return self._told[name]


def test_what_is_here_is_named_best_first_and_a_second_card_is_no_other_compute() -> None:
    assert openvino_devices.here(Core(["CPU", "GPU.0", "GPU.1", "NPU"])) == ("cpu", "gpu", "npu", "auto")
    assert openvino_devices.here(Core(["CPU"])) == ("cpu", "auto")


@pytest.mark.parametrize(
    ("broken", "makers", "why", "fix"),
    [
        ({"GPU": 'Device with "GPU" name is not registered'}, [], "this build of OpenVINO has no GPU plugin", "cpu"),
        ({}, [], "there is no /dev/dri/renderD*: the kernel knows of no Intel GPU", "--compute cpu"),
        ({"GPU": NO_LOADER}, [], "there is no /dev/dri/renderD*: the kernel knows of no Intel GPU", "--compute cpu"),
        ({"GPU": NO_LOADER}, ["0x1002", "0x10de"], "is of another maker: there is no Intel GPU", "--compute cpu"),
        ({}, ["0x1002"], "is of another maker: there is no Intel GPU", "--compute cpu"),
        ({"GPU": NO_LOADER}, ["0x10de", "0x8086"], "libOpenCL.so.1, the OpenCL loader, is missing", "libopencl1"),
        ({"GPU": NO_LOADER}, ["0x10de", ""], "libOpenCL.so.1, the OpenCL loader, is missing", "libopencl1"),
        ({}, ["0x8086"], "OpenVINO finds no Intel GPU behind", "intel-opencl-icd"),
    ],
)
def test_what_a_gpu_lacks_is_named(
    broken: dict[str, str], makers: list[str], why: str, fix: str, tmp_path: Path
) -> None:
    _graphics(tmp_path, *makers)
    told = openvino_devices.lacking(Core(["CPU"], broken), tmp_path)
    assert why in told["gpu"][0] and fix in told["gpu"][1]
    assert "/dev/accel" in told["npu"][0]  # it has its own reason


def _graphics(root: Path, *makers: str) -> None:
    """Nodes of graphics, and what the kernel tells of who made each; an empty maker is not told."""
    for number, maker in enumerate(makers, 128):
        (root / "dev/dri").mkdir(parents=True, exist_ok=True)
        (root / f"dev/dri/renderD{number}").touch()
        device = root / f"sys/class/drm/renderD{number}/device"
        device.mkdir(parents=True)
        if maker:
            (device / "vendor").write_text(f"{maker}\n")


def test_nothing_is_lacking_where_all_is_there() -> None:
    assert openvino_devices.lacking(Core(["CPU", "GPU", "NPU"])) == {}


def test_a_compute_without_its_hardware_is_refused_with_what_is_missing() -> None:
    core = Core(["CPU"], {"GPU": "not registered"})
    with pytest.raises(Unsupported, match="'gpu' here: this build of OpenVINO has no GPU plugin") as refused:
        openvino_devices.chosen(core, "gpu", SessionOptions())
    assert refused.value.fix == "--compute cpu"
    with pytest.raises(Unsupported, match="does not run on 'cuda' here"):
        openvino_devices.chosen(core, "cuda", SessionOptions())


def test_the_cpu_helps_a_device_out_only_if_that_is_asked_for() -> None:
    core = Core(["CPU", "GPU"])
    shared = SessionOptions(extra={"fallback": "cpu"})
    assert openvino_devices.chosen(core, "gpu", SessionOptions()) == "GPU"
    assert openvino_devices.chosen(core, "gpu", shared) == "HETERO:GPU,CPU"
    with pytest.raises(UsageError, match="fallback=cpu is for --compute gpu or npu"):
        openvino_devices.chosen(core, "cpu", shared)
    with pytest.raises(UsageError, match="option fallback is 'gpu'") as refused:
        openvino_devices.chosen(core, "gpu", SessionOptions(extra={"fallback": "gpu"}))
    assert refused.value.fix == "fallback=none or cpu"


def test_layers_that_the_cpu_took_count_as_fallen_back() -> None:
    queried = {"a": "GPU.0", "b": "GPU.0", "c": "CPU"}
    assert openvino_devices.ran(Compiled(EXECUTION_DEVICES=["GPU.0", "CPU"]), "HETERO:GPU,CPU") == "OpenVINO GPU"
    assert openvino_layers.shared(queried, "fp16") == [
        Layers("fp16", "OpenVINO GPU", 2), Layers("fp16", "OpenVINO CPU", 1),
    ]  # fmt: skip
    with pytest.raises(Unsupported, match="takes no layer of this model"):
        openvino_devices.ran(Compiled(EXECUTION_DEVICES=["CPU"]), "HETERO:GPU,CPU")


def test_auto_and_hetero_tell_what_their_devices_do_and_nothing_where_these_differ() -> None:
    by_device = {"CPU": {"INFERENCE_PRECISION_HINT": "f32"}, "GPU.0": {"INFERENCE_PRECISION_HINT": "f16"}}
    one = Compiled(EXECUTION_DEVICES=["GPU.0"], DEVICE_PROPERTIES=by_device)
    both = Compiled(EXECUTION_DEVICES=["GPU.0", "CPU"], DEVICE_PROPERTIES=by_device)
    assert openvino_devices.told(one, "INFERENCE_PRECISION_HINT") == "f16"
    assert openvino_devices.told(both, "INFERENCE_PRECISION_HINT") is None
    assert openvino_devices.told(Compiled(EXECUTION_DEVICES=["NPU"]), "INFERENCE_NUM_THREADS") is None


@pytest.mark.parametrize(
    ("device", "has", "lacks"),
    [
        ("CPU", {"INFERENCE_NUM_THREADS": 3}, {"ENABLE_STARTUP_FALLBACK", "NPU_COMPILER_TYPE"}),
        ("GPU", {}, {"INFERENCE_NUM_THREADS", "NPU_COMPILER_TYPE"}),
        ("NPU", {"NPU_COMPILER_TYPE": "DRIVER"}, {"INFERENCE_NUM_THREADS"}),
        ("AUTO", {"INFERENCE_NUM_THREADS": 3, "ENABLE_STARTUP_FALLBACK": False}, set()),
    ],
)
def test_each_device_gets_what_it_knows(
    device: str, has: dict[str, object], lacks: set[str], openvino_artifact: Artifact
) -> None:
    asked = openvino_devices.settings(device, openvino_artifact, SessionOptions(threads=3), openvino.Type.f32)
    asked = {str(name): value for name, value in asked.items()}
    assert has.items() <= asked.items() and not lacks & asked.keys()
    assert asked["INFERENCE_PRECISION_HINT"] == openvino.Type.f32  # else Arm computes in f16


def test_a_second_start_takes_the_compiled_model_and_a_damaged_one_is_made_anew(
    openvino_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    options = SessionOptions(threads=1, extra={"cache": "on"})

    def cached() -> bool:
        with OpenVino().open(openvino_artifact, "cpu", options) as session:
            return session._compiled.get_property("LOADED_FROM_CACHE")

    assert [cached(), cached()] == [False, True]
    (blob,) = (tmp_path / "cache" / "compiled").rglob("*.blob")
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[: blob.stat().st_size // 2])
    assert [cached(), cached()] == [False, True]


def test_a_cache_that_cannot_be_written_is_said(
    openvino_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(EdgebenchError, match="cannot keep compiled models in") as refused:
        OpenVino().open(openvino_artifact, "cpu", SessionOptions(extra={"cache": "on"}))
    assert "EDGEBENCH_CACHE" in refused.value.fix
