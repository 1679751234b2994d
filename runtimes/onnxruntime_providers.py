"""ONNX Runtime's execution providers: how each is asked for, and refused with what is missing if it is not here."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgebench.runtimes import onnxruntime_nvidia as nvidia
from edgebench.runtimes.onnxruntime_settings import SESSION, per_request

from edgebench.errors import Unsupported, UsageError, unknown_name
from edgebench.specs import SessionOptions

if TYPE_CHECKING:
    import onnxruntime

KINDS = {"cpu": "CPU", "gpu": "GPU", "cuda": "GPU", "npu": "NPU"}  # of the devices that a plug-in offers, by compute


@dataclass(frozen=True, kw_only=True)
class Provider:
    """`full`: its name in ONNX Runtime; `computes`: what it runs on; `brought_by`: what has to be installed.

    `plugin`: the module of the package with its library, where it is not part of ONNX Runtime; `prepare` is called
    before it is used or registered. `behind`: what takes the nodes that it leaves, before the CPU. `settings`: its own
    options for a compute and a session, where its defaults are not what was asked for. `refuse` raises Unsupported for
    an int8 file that it would compute wrongly. `fix`: what helps if its libraries do not load.
    """

    full: str
    computes: tuple[str, ...]
    brought_by: str = "a build of ONNX Runtime that has it"
    plugin: str = ""
    prepare: Callable[[ModuleType], None] = lambda library: None
    behind: tuple[str, ...] = ()
    settings: Callable[[str, SessionOptions], dict[str, str]] = lambda compute, options: {}
    refuse: Callable[[Path], None] = lambda path: None
    fix: str = "another provider; it needs a device of its maker and the driver"


def _openvino(compute: str, options: SessionOptions) -> dict[str, str]:
    """It would compute in f16 or bf16 where the device can, and it heeds no threads but its own."""
    threads = {"INFERENCE_NUM_THREADS": per_request(options)} if options.threads and compute == "cpu" else {}
    kind = {"fp16": "f16", "bf16": "bf16"}.get(options.precision, "f32")
    device = KINDS[compute]
    asked = {device: {"INFERENCE_PRECISION_HINT": kind} | {name: str(value) for name, value in threads.items()}}
    return {"device_type": device, "load_config": json.dumps(asked)}


def _xnnpack(compute: str, options: SessionOptions) -> dict[str, str]:
    return {"intra_op_num_threads": str(per_request(options))} if options.threads else {}


PROVIDERS = {
    "cuda": Provider(
        full="CUDAExecutionProvider", computes=("cuda",), brought_by="onnxruntime-gpu", prepare=nvidia.load_cuda,
        settings=nvidia.cuda,
        fix="install the CUDA and cuDNN that it was built for, as by pip install 'onnxruntime-gpu[cuda,cudnn]'; or "
        "--compute cpu",
    ),
    "tensorrt": Provider(
        full="TensorrtExecutionProvider", computes=("cuda",), brought_by="onnxruntime-gpu", prepare=nvidia.load_cuda,
        settings=nvidia.tensorrt, refuse=nvidia.refuse_bytes, behind=("CUDAExecutionProvider",),
        fix="install the TensorRT, CUDA and cuDNN that it was built for, and NVIDIA's driver; or --runtime tensorrt",
    ),
    "nvtensorrtrtx": Provider(
        full="NvTensorRTRTXExecutionProvider", computes=("cuda",), plugin=nvidia.RTX,
        brought_by="onnxruntime-ep-nv-tensorrt-rtx-cu12 (for RTX cards, under NVIDIA's licence)",
        prepare=nvidia.load_rtx, settings=nvidia.rtx, refuse=nvidia.refuse_bytes,
        fix="it needs an RTX card, Ampere or later, and NVIDIA's driver with libcuda.so.1; or --compute cpu",
    ),
    "cpu": Provider(full="CPUExecutionProvider", computes=("cpu",)),
    "xnnpack": Provider(full="XnnpackExecutionProvider", computes=("cpu",), settings=_xnnpack),
    "acl": Provider(full="ACLExecutionProvider", computes=("cpu",)),
    "openvino": Provider(
        full="OpenVINOExecutionProvider", computes=("cpu", "gpu", "npu"), plugin="onnxruntime_ep_openvino",
        brought_by="onnxruntime-openvino in place of onnxruntime, or beside it onnxruntime-ep-openvino",
        settings=_openvino,
    ),
    "webgpu": Provider(
        full="WebGpuExecutionProvider", computes=("gpu",), plugin="onnxruntime_ep_webgpu",
        brought_by="onnxruntime-ep-webgpu",
    ),
}  # fmt: skip
OPTIONS = {"provider": tuple(PROVIDERS), **SESSION, **{f"{name}.": () for name in PROVIDERS}}


@dataclass(frozen=True)
class Chosen:
    """A provider as it is asked for; `devices`: those of a plug-in."""

    name: str
    provider: Provider
    options: Mapping[str, str]
    devices: Sequence[Any] = ()

    def opened(
        self, library: ModuleType, path: str, settings: onnxruntime.SessionOptions
    ) -> onnxruntime.InferenceSession:
        if self.devices:
            settings.add_provider_for_devices(self.devices, dict(self.options))
            return library.InferenceSession(path, settings)
        first = (self.provider.full, dict(self.options)) if self.options else self.provider.full
        with contextlib.redirect_stdout(io.StringIO()):  # it tells of a fallback there; callers look for one
            session = library.InferenceSession(path, settings, providers=[first, *self.provider.behind])
        session.disable_fallback()  # else it would take another provider in the middle of a measurement
        return session


def chosen(library: ModuleType, compute: str, options: SessionOptions) -> Chosen:
    """The provider of a session. Raises UsageError for options that there are not, Unsupported if it is not here."""
    default = compute if compute in PROVIDERS else ""
    name = options.extra.get("provider", default)
    if not name:
        able = [f"provider={other}" for other, one in PROVIDERS.items() if compute in one.computes]
        fix = f"--runtime-option {' or '.join(able)}" if able else "--compute cpu"
        raise Unsupported(f"ONNX Runtime does not run on {compute!r} by itself", fix)
    if (provider := PROVIDERS.get(name)) is None:
        raise unknown_name("provider", name, PROVIDERS)
    if compute not in provider.computes:
        fix = f"--compute {' or '.join(provider.computes)}"
        raise Unsupported(f"ONNX Runtime's provider {name} does not run on {compute!r}", fix)
    own = _own(name, options.extra)
    settings = provider.settings(compute, options) | own
    if provider.full in (available := library.get_available_providers()):
        provider.prepare(library)
        return Chosen(name, provider, settings)
    if _installed(provider):
        if not (devices := _devices(library, provider, compute)):
            raise Unsupported(
                f"the plug-in {provider.plugin} offers ONNX Runtime no {KINDS[compute]} on this machine", provider.fix
            )
        return Chosen(name, provider, settings, devices)
    raise Unsupported(
        f"this onnxruntime has no {provider.full!r}; it has {', '.join(available)}",
        f"install {provider.brought_by}; or " + ("another provider" if compute == "cpu" else "--compute cpu"),
    )


def _own(name: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The options that are given for this provider: "NAME.KEY"."""
    own: dict[str, str] = {}
    for key, value in extra.items():
        whose, dot, option = key.partition(".")
        if dot and whose == name:
            own[option] = value
        elif key != "provider" and key not in SESSION:
            fix = f"it has provider, {', '.join(SESSION)}, and {name}.KEY for what the provider takes"
            raise UsageError(f"ONNX Runtime has no option {key!r}", fix)
    return own


def _devices(library: ModuleType, provider: Provider, compute: str) -> list[Any]:
    _register(library, provider)
    return [
        one for one in library.get_ep_devices()
        if one.ep_name == provider.full and one.device.type.name == KINDS[compute]
    ]  # fmt: skip


@functools.cache
def _register(library: ModuleType, provider: Provider) -> None:
    """Once in a process: a second time is an error."""
    if not hasattr(library, "register_execution_provider_library"):
        raise Unsupported(f"onnxruntime {library.__version__} takes no plug-ins", "upgrade it to 1.23 or newer")
    try:
        provider.prepare(library)
        path = importlib.import_module(provider.plugin).get_library_path()
        library.register_execution_provider_library(provider.plugin, path)
    except Exception as error:  # its library may miss others, and its package may be of another time
        why = " ".join(str(error).split())
        raise Unsupported(f"the plug-in {provider.plugin} does not load: {why}", provider.fix) from error


def lacking(library: ModuleType) -> dict[str, tuple[str, str]]:
    """By what it does not compute on by itself: what is missing, and what helps. Loads no plug-in."""
    available, told = library.get_available_providers(), {}
    for compute in ("cuda", "gpu", "npu"):
        able = {name: one for name, one in PROVIDERS.items() if compute in one.computes}
        here = [name for name, one in able.items() if one.full in available or _installed(one)]
        if not here:
            brought = "; or ".join(dict.fromkeys(one.brought_by for one in able.values()))
            told[compute] = f"it has no provider {' or '.join(able)}", f"install {brought}"
        elif compute not in here:
            asked = " or ".join(f"provider={name}" for name in here)
            told[compute] = "a provider has to be named", f"--compute {compute} --runtime-option {asked}"
    return told


def _installed(provider: Provider) -> bool:
    return bool(provider.plugin and importlib.util.find_spec(provider.plugin))
