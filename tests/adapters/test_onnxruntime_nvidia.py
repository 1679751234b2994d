"""ONNX Runtime's providers of NVIDIA, over a stand-in that keeps the library's rules."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from edgebench.runtimes import onnxruntime_nvidia, onnxruntime_settings
from edgebench.runtimes.onnxruntime import OnnxRuntime
from edgebench.runtimes.onnxruntime_providers import PROVIDERS, Chosen, chosen
from onnx import TensorProto, helper, numpy_helper

from edgebench.errors import Unsupported, UsageError
from edgebench.specs import Artifact, SessionOptions

TENSORRT, CUDA, RTX = "TensorrtExecutionProvider", "CUDAExecutionProvider", "NvTensorRTRTXExecutionProvider"
OPTIONS = {TENSORRT: ("trt_fp16_enable", "trt_int8_enable"), RTX: ("enable_cuda_graph",)}  # as far as we ask for any


class Session:
    """Of onnxruntime's InferenceSession: where it runs, as if there were a card or none."""

    def __init__(self, library: Library, settings: SimpleNamespace, providers: list[object]) -> None:
        asked = [one if isinstance(one, tuple) else (one, {}) for one in providers] or settings.appended
        for name, options in asked:
            if unknown := set(options) - {*OPTIONS.get(name, options)}:
                raise ValueError(f"Invalid TensorRT EP option: {unknown}")
        self.providers = [name for name, _ in asked] if library.card else []
        if not library.card:
            print("*** EP Error *** Please install TensorRT libraries")  # on stdout, as onnxruntime does
        self.asked, self.falls_back = asked, True

    def get_providers(self) -> list[str]:
        return [*self.providers, "CPUExecutionProvider"]

    def disable_fallback(self) -> None:
        self.falls_back = False


class Library:
    """Of onnxruntime: a plug-in loads once, after CUDA's runtime, and where there is a driver."""

    __version__ = "1.32.0"

    def __init__(self, *available: str, card: bool = True) -> None:
        self.available, self.card, self.loaded = available, card, []

    def get_available_providers(self) -> list[str]:
        return [*self.available, "CPUExecutionProvider"]

    def register_execution_provider_library(self, name: str, path: str) -> None:
        if "libcudart.so.12" not in self.loaded:
            raise RuntimeError("Failed to load library: libcudart.so.12: cannot open shared object file")
        if not self.card:
            raise RuntimeError("Failed to load library: libcuda.so.1: cannot open shared object file")
        if path in self.loaded:
            raise RuntimeError(f"library is already registered under {name}")
        self.loaded.append(path)

    def get_ep_devices(self) -> list[SimpleNamespace]:
        kind = SimpleNamespace(type=SimpleNamespace(name="GPU"))
        return [SimpleNamespace(ep_name=RTX, device=kind)] if "plugin.so" in self.loaded else []

    def InferenceSession(self, path: str, settings: SimpleNamespace, providers: list[object] | None = None) -> Session:
        return Session(self, settings, providers or [])


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(onnxruntime_nvidia.NO_TF32, "1")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A package of NVIDIA's plug-in, which brings CUDA's runtime under its full name."""
    name = "stand_in_nv"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("def get_library_path():\n    return 'plugin.so'\n")
    (tmp_path / name / "libcudart.so.12.9.79").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(onnxruntime_nvidia, "RTX", name)
    monkeypatch.setitem(PROVIDERS, "nvtensorrtrtx", replace(PROVIDERS["nvtensorrtrtx"], plugin=name))
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Library]:
    """The libraries that hear of what ctypes loads."""
    hearing: list[Library] = []

    def load(path: str, mode: int) -> None:
        assert mode == onnxruntime_nvidia.ctypes.RTLD_GLOBAL
        for library in hearing:
            library.loaded.append(Path(path).name.removesuffix(".9.79"))

    monkeypatch.setattr(onnxruntime_nvidia.ctypes, "CDLL", load)
    return hearing


def _asked(name: str, precision: str = "fp32", **extra: str) -> SessionOptions:
    return SessionOptions(precision=precision, extra={"provider": name} | extra)


@pytest.mark.parametrize(
    ("precision", "told"), [("fp32", {}), ("fp16", {"trt_fp16_enable": "1"}), ("int8", {"trt_int8_enable": "1"})]
)
def test_tensorrt_computes_in_the_precision_of_the_file_and_cuda_takes_what_it_leaves(
    precision: str, told: dict[str, str]
) -> None:
    library = Library(TENSORRT, CUDA)
    found = chosen(library, "cuda", _asked("tensorrt", precision))
    session = found.opened(library, "model.onnx", SimpleNamespace())
    assert session.asked == [(TENSORRT, told), (CUDA, {})] and not session.falls_back
    assert os.environ[onnxruntime_nvidia.NO_TF32] == "0"


def test_without_its_libraries_tensorrt_is_refused_and_nothing_is_printed(
    onnx_artifact: Artifact, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime, library = OnnxRuntime(), Library(TENSORRT, CUDA, card=False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", library.get_available_providers)
    monkeypatch.setattr(
        Chosen, "opened", lambda self, _, path, made, real=Chosen.opened: real(self, library, path, made)
    )
    monkeypatch.setattr(Session, "get_inputs", lambda self: [], raising=False)
    monkeypatch.setattr("edgebench.runtimes.onnxruntime.check_inputs", lambda artifact, found: None)
    with pytest.raises(Unsupported, match=f"fell back to CPUExecutionProvider: its {TENSORRT} did not load") as refused:
        runtime.open(onnx_artifact, "cuda", _asked("tensorrt"))
    assert "--runtime tensorrt" in refused.value.fix and not capsys.readouterr().out


def test_the_plug_in_gets_the_cuda_runtime_that_it_brings(plugin: str, loads: list[Library]) -> None:
    library = Library()
    loads.append(library)
    found = [chosen(library, "cuda", _asked("nvtensorrtrtx", "fp16")) for _ in range(2)][-1]
    assert library.loaded == ["libcudart.so.12", "plugin.so"]
    assert [one.ep_name for one in found.devices] == [RTX] and found.options == {}
    assert os.environ[onnxruntime_nvidia.NO_TF32] == "0"


def test_without_a_driver_the_plug_in_is_refused_with_what_it_needs(plugin: str, loads: list[Library]) -> None:
    library = Library(card=False)
    loads.append(library)
    with pytest.raises(Unsupported, match=r"stand_in_nv does not load: .*libcuda\.so\.1") as refused:
        chosen(library, "cuda", _asked("nvtensorrtrtx"))
    assert "NVIDIA's driver" in refused.value.fix


@pytest.mark.parametrize(("name", "brings"), [("tensorrt", "onnxruntime-gpu"), ("nvtensorrtrtx", "rtx-cu12")])
def test_a_provider_that_is_not_installed_is_refused_with_what_brings_it(
    name: str, brings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROVIDERS, name, replace(PROVIDERS[name], plugin=""))
    with pytest.raises(Unsupported, match="this onnxruntime has no") as refused:
        chosen(Library(), "cuda", _asked(name))
    assert brings in refused.value.fix
    with pytest.raises(Unsupported, match=f"provider {name} does not run on 'cpu'"):
        chosen(Library(), "cpu", _asked(name))


def test_an_option_of_another_provider_is_refused() -> None:
    with pytest.raises(UsageError, match=r"has no option 'nvtensorrtrtx\.x'"):
        chosen(Library(TENSORRT), "cuda", _asked("tensorrt", **{"nvtensorrtrtx.x": "1"}))


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_bytes_that_tensorrt_would_read_as_int8_are_refused(tmp_path: Path, kind: type[np.generic]) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="first"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(kind(0), "zero")]
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    made = helper.make_model(helper.make_graph(nodes, "g", sides[:1], sides[1:], constants))
    onnx.save(made, tmp_path / "model.onnx")
    for name in ("tensorrt", "nvtensorrtrtx"):
        if kind is np.int8:
            PROVIDERS[name].refuse(tmp_path / "model.onnx")
            continue
        with pytest.raises(Unsupported, match="QuantizeLinear 'first' and 0 more would give wrong answers") as refused:
            PROVIDERS[name].refuse(tmp_path / "model.onnx")
        assert "--target trt or rtx" in refused.value.fix


def test_a_session_of_the_real_library_takes_no_other_provider_later(onnx_artifact: Artifact) -> None:
    made = onnxruntime_settings.settings(onnxruntime, "cpu", SessionOptions(threads=1))
    session = Chosen("cpu", PROVIDERS["cpu"], {}).opened(onnxruntime, str(onnx_artifact.path / "model.onnx"), made)
    assert session._enable_fallback is False


def test_an_int8_file_is_looked_at_before_it_is_opened(
    onnx_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    monkeypatch.setitem(PROVIDERS, "cpu", replace(PROVIDERS["cpu"], refuse=seen.append))
    for precision in ("fp32", "int8"):
        given = replace(onnx_artifact, precision=precision)
        OnnxRuntime().open(given, "cpu", SessionOptions(precision=precision, threads=1)).close()
    assert seen == [onnx_artifact.path / "model.onnx"]
