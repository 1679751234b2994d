"""ONNX Runtime's execution providers: how each is asked for, and refused with what is missing if it is not here."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

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
    options for a compute and a session, where its defaults are not what was asked for. `fix`: what helps if its
    libraries do not load.
    """

    full: str
    computes: tuple[str, ...]
    brought_by: str = "a build of ONNX Runtime that has it"
    plugin: str = ""
    prepare: Callable[[ModuleType], None] = lambda library: None
    behind: tuple[str, ...] = ()
    settings: Callable[[str, SessionOptions], dict[str, str]] = lambda compute, options: {}
    fix: str = "another provider"


def load_cuda(library: ModuleType) -> None:
    """Load CUDA's and cuDNN's libraries where pip put them (`onnxruntime-gpu[cuda,cudnn]`, or torch's own).

    The system's loader does not look there, and without them ONNX Runtime falls back to the CPU. What is missing is
    told on stdout, which belongs to the caller; whether the provider works is checked later.
    """
    if preload := getattr(library, "preload_dlls", None):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):
            preload()


def _cuda(compute: str, options: SessionOptions) -> dict[str, str]:
    """It computes fp32 in TF32, with 10 bits of mantissa, unless told not to."""
    import onnxruntime

    major, minor = (int(part) for part in onnxruntime.__version__.split(".")[:2])
    if (major, minor) < (1, 18):  # has no such option; cuBLAS and cuDNN, which it loads next, heed this
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
        return {}
    return {"use_tf32": "0"}


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
        full="CUDAExecutionProvider", computes=("cuda",), brought_by="onnxruntime-gpu", prepare=load_cuda,
        settings=_cuda,
        fix="install the CUDA and cuDNN that it was built for, as by pip install 'onnxruntime-gpu[cuda,cudnn]'; or "
        "--compute cpu",
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
        return library.InferenceSession(path, settings, providers=[first, *self.provider.behind])


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
    if provider.plugin and importlib.util.find_spec(provider.plugin):
        if not (devices := _devices(library, provider, compute)):
            raise Unsupported(
                f"the plug-in {provider.plugin} offers ONNX Runtime no {KINDS[compute]} on this machine",
                "another provider: it looks for its maker's devices and their drivers",
            )
        return Chosen(name, provider, settings, devices)
    raise Unsupported(
        f"this onnxruntime has no {provider.full!r}; it has {', '.join(available)}",
        f"install {provider.brought_by}; or another provider",
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
        raise Unsupported(f"the plug-in {provider.plugin} does not load: {why}", "reinstall it") from error


def found(library: ModuleType) -> list[tuple[str, bool, str, str]]:
    """Of each provider its name, whether it is here, what of it is, and the fix. Nothing is loaded: a plug-in tells
    which devices it has when it is used."""
    told = []
    for name, one in PROVIDERS.items():
        here, why = one.full in library.get_available_providers(), "part of this onnxruntime"
        if not here:
            here = bool(one.plugin and importlib.util.find_spec(one.plugin))
            why = f"the plug-in {one.plugin} is installed" if here else f"not {why}"
        told.append((name, here, why, "" if here else f"install {one.brought_by}"))
    return told
