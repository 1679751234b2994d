"""ONNX Runtime's providers and session options: what is asked of the library, and what is refused in words."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import onnxruntime
import pytest
from edgebench.runtimes import onnxruntime_providers, onnxruntime_settings
from edgebench.runtimes.onnxruntime import OnnxRuntime
from edgebench.runtimes.onnxruntime_providers import PROVIDERS, chosen

from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.measuring import worker
from edgebench.specs import Artifact, SessionOptions


class Library:
    """As much of onnxruntime as is asked; `registered` has the plug-ins."""

    __version__ = "1.32.0"

    def __init__(self, *available: str, devices: tuple[SimpleNamespace, ...] = ()) -> None:
        self._available, self._devices = available, devices
        self.registered: list[tuple[str, str]] = []

    def get_available_providers(self) -> list[str]:
        return [*self._available, "CPUExecutionProvider"]

    def get_ep_devices(self) -> tuple[SimpleNamespace, ...]:
        return self._devices

    def register_execution_provider_library(self, name: str, path: str) -> None:
        if path == "missing.so":
            raise RuntimeError("libsomething.so.12: cannot open\n shared object file")
        self.registered.append((name, path))


def _device(provider: str, kind: str) -> SimpleNamespace:
    return SimpleNamespace(ep_name=provider, device=SimpleNamespace(type=SimpleNamespace(name=kind)))


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of WebGPU's plug-in, in place of the real one."""
    made = ModuleType("stand_in_webgpu")
    made.__spec__ = SimpleNamespace(name="stand_in_webgpu")
    made.get_library_path = lambda: "plugin.so"
    monkeypatch.setitem(sys.modules, "stand_in_webgpu", made)
    monkeypatch.setitem(PROVIDERS, "webgpu", replace(PROVIDERS["webgpu"], plugin="stand_in_webgpu"))
    return made


def _asked(compute: str, **extra: str) -> SessionOptions:
    return SessionOptions(threads=3, extra={name.replace("__", "."): value for name, value in extra.items()})


def test_a_provider_that_is_not_in_the_build_is_refused_with_what_brings_it() -> None:
    for name, brings in (("xnnpack", "a build of ONNX Runtime"), ("openvino", "onnxruntime-ep-openvino")):
        one = replace(PROVIDERS[name], plugin="")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(PROVIDERS, name, one)
            with pytest.raises(Unsupported, match=f"has no '{one.full}'") as refused:
                chosen(Library(), "cpu", _asked("cpu", provider=name))
        assert brings in refused.value.fix


@pytest.mark.parametrize(
    ("compute", "extra", "kind", "message", "fix"),
    [
        ("cpu", {"provider": "xnnpac"}, UsageError, "unknown provider 'xnnpac'", "did you mean xnnpack"),
        ("cpu", {"provider": "webgpu"}, Unsupported, "webgpu does not run on 'cpu'", "--compute gpu"),
        ("gpu", {}, Unsupported, "does not run on 'gpu' by itself", "provider=openvino or provider=webgpu"),
        ("tpu", {}, Unsupported, "does not run on 'tpu' by itself", "--compute cpu"),
        ("cpu", {"spin": "off"}, UsageError, "has no option 'spin'", "spinning, arena, optimization"),
        ("cpu", {"xnnpack.threads": "2"}, UsageError, "has no option 'xnnpack.threads'", "cpu.KEY"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_words(
    compute: str, extra: dict[str, str], kind: type[EdgebenchError], message: str, fix: str
) -> None:
    with pytest.raises(kind, match=message) as refused:
        chosen(Library(), compute, SessionOptions(extra=extra))
    assert fix in refused.value.fix


def test_a_plug_in_is_registered_once_and_gets_its_devices_of_the_compute(plugin: ModuleType) -> None:
    full = PROVIDERS["webgpu"].full
    wanted = _device(full, "GPU")
    library = Library(devices=(_device("CPUExecutionProvider", "CPU"), _device(full, "CPU"), wanted))
    options = _asked("gpu", provider="webgpu", webgpu__storage="x")
    found = [chosen(library, "gpu", options) for _ in range(2)]
    assert library.registered == [("stand_in_webgpu", "plugin.so")]
    assert all(one.devices == [wanted] and one.options == {"storage": "x"} for one in found)


def test_a_plug_in_without_a_device_or_that_does_not_load_is_refused(plugin: ModuleType) -> None:
    options = _asked("gpu", provider="webgpu")
    with pytest.raises(Unsupported, match="stand_in_webgpu offers ONNX Runtime no GPU on this machine"):
        chosen(Library(), "gpu", options)
    plugin.get_library_path = lambda: "missing.so"
    with pytest.raises(Unsupported, match=r"does not load: libsomething.so.12: cannot open shared object file"):
        chosen(Library(), "gpu", options)


def test_openvino_and_xnnpack_are_told_the_precision_and_the_threads_that_they_would_not_heed() -> None:
    library = Library("OpenVINOExecutionProvider", "XnnpackExecutionProvider")
    found = chosen(library, "cpu", _asked("cpu", provider="openvino"))
    assert found.options["device_type"] == "CPU"
    told = json.loads(found.options["load_config"])
    assert told == {"CPU": {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "3"}}
    assert chosen(library, "cpu", _asked("cpu", provider="xnnpack")).options == {"intra_op_num_threads": "3"}


def test_what_is_lacking_is_told_without_loading_a_plug_in(plugin: ModuleType) -> None:
    library = Library("XnnpackExecutionProvider")
    told = onnxruntime_providers.lacking(library)
    why, fix = told["cuda"]
    assert why == "it has no provider cuda or tensorrt or nvtensorrtrtx" and fix.startswith(
        "install onnxruntime-gpu; or"
    )
    assert told["gpu"][1].endswith("provider=webgpu") and "openvino" in told["npu"][0]
    assert not library.registered
    assert "cuda" not in onnxruntime_providers.lacking(Library("TensorrtExecutionProvider", "CUDAExecutionProvider"))


@pytest.mark.parametrize(
    ("name", "extra", "spins", "arena", "level"),
    [
        ("cpu", {}, "", True, "ORT_ENABLE_ALL"),
        ("cpu", {"spinning": "off", "arena": "off", "optimization": "basic"}, "0", False, "ORT_ENABLE_BASIC"),
        ("xnnpack", {}, "0", True, "ORT_ENABLE_ALL"),
        ("xnnpack", {"spinning": "on"}, "", True, "ORT_ENABLE_ALL"),
    ],
)
def test_a_session_is_opened_with_the_options_that_were_given(
    name: str, extra: dict[str, str], spins: str, arena: bool, level: str
) -> None:
    made = onnxruntime_settings.settings(onnxruntime, name, SessionOptions(extra=extra))
    try:
        told = made.get_session_config_entry("session.intra_op.allow_spinning")
    except RuntimeError:  # it was not set
        told = ""
    assert told == spins and made.enable_cpu_mem_arena == arena and made.graph_optimization_level.name == level


def test_an_unknown_value_is_refused(onnx_artifact: Artifact) -> None:
    with pytest.raises(UsageError, match="option optimization is 'max'") as refused:
        OnnxRuntime().open(onnx_artifact, "cpu", SessionOptions(extra={"optimization": "max"}))
    assert refused.value.fix == "optimization=all or extended or basic or none"


def test_nodes_that_ran_on_the_cpu_instead_of_the_provider_are_told(onnx_artifact: Artifact) -> None:
    """The layers are those of a real session on the CPU; that another provider was asked for is made up."""
    with OnnxRuntime().open(onnx_artifact, "cpu", SessionOptions(threads=1)) as session:
        layers, provider = session.layers(), session.effective.provider
    assert provider == "CPUExecutionProvider" and {one.provider for one in layers} == {provider}
    taken = replace(session.effective, provider="XnnpackExecutionProvider")
    assert "fell back to CPUExecutionProvider" in worker._fallback(layers, taken)


def test_a_provider_that_onnxruntime_drops_is_no_silent_fallback(
    onnx_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drops a provider whose libraries are missing with a mere warning, and computes on the CPU."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["XnnpackExecutionProvider"])
    with (
        pytest.warns(UserWarning, match="not in available provider names"),
        pytest.raises(Unsupported, match=r"fell back to CPUExecutionProvider: its Xnnpack.* did not load"),
    ):
        OnnxRuntime().open(onnx_artifact, "cpu", SessionOptions(threads=1, extra={"provider": "xnnpack"}))


def test_devices_are_opened_by_themselves_and_not_by_the_name_of_their_provider(onnx_artifact: Artifact) -> None:
    """By name, ONNX Runtime would take the CPU: seen with its own device, since a plug-in's needs the hardware."""
    (own,) = [one for one in onnxruntime.get_ep_devices() if one.ep_name == "CPUExecutionProvider"]
    asked = onnxruntime_providers.Chosen("cpu", PROVIDERS["cpu"], {}, (own,))
    made = onnxruntime_settings.settings(onnxruntime, "cpu", SessionOptions(threads=1))
    session = asked.opened(onnxruntime, str(onnx_artifact.path / "model.onnx"), made)
    assert session.get_providers() == ["CPUExecutionProvider"]
