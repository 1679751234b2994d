"""What OpenVINO computes on: names, settings, what really runs, and what is missing where a device is not here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.runtimes.openvino_layers import provider

from edgebench.errors import Unsupported, UsageError, one_of
from edgebench.records import caches
from edgebench.specs import Artifact, SessionOptions

if TYPE_CHECKING:
    import openvino

DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU", "auto": "AUTO"}
OPTIONS = {"cache": ("off", "on"), "fallback": ("none", "cpu")}
CHOICE = "AUTO"  # takes the best device, and says afterwards which it was
SHARED = "HETERO:"  # the CPU takes the layers that a device does not have
LOADER = "libOpenCL"
INTEL = "0x8086"  # its number as a maker of PCI devices
NPU_COMPILER = "libopenvino_intel_npu_compiler_loader.so"


def here(core: openvino.Core) -> tuple[str, ...]:
    """What there is, best first: a second graphics card is "GPU.1"."""
    found = {name.partition(".")[0] for name in core.available_devices}
    return tuple(compute for compute, device in DEVICES.items() if device in found or (device == CHOICE and found))


def lacking(core: openvino.Core, root: Path = Path("/")) -> dict[str, tuple[str, str]]:
    """By what it does not compute on here: what is missing, and what helps."""
    found = here(core)
    return {compute: _missing(core, DEVICES[compute], root) for compute in ("gpu", "npu") if compute not in found}


def _missing(core: openvino.Core, device: str, root: Path) -> tuple[str, str]:
    """The first that is missing, from the build to the hardware, and from there to what is installed on top of it."""
    nodes, known, driver, unit = {
        "GPU": ("dev/dri/renderD*", "sys/class/drm", "intel-opencl-icd", "Intel GPU"),
        "NPU": ("dev/accel/accel*", "sys/class/accel", "Intel's linux-npu-driver and Level Zero", "Intel NPU"),
    }[device]
    said = _said(core, device)
    if said and LOADER not in said:
        return f"this build of OpenVINO has no {device} plugin", "--compute cpu"
    found = list(root.glob(nodes))
    if not found:
        return f"there is no /{nodes}: the kernel knows of no {unit}", "--compute cpu"
    makers = [_maker(root / known / node.name) for node in found]
    if all(makers) and INTEL not in makers:
        return f"what is behind /{nodes} is of another maker: there is no {unit}", "--compute cpu"
    if said:
        fix = "install the loader and Intel's driver: apt install ocl-icd-libopencl1 intel-opencl-icd"
        return f"{LOADER}.so.1, the OpenCL loader, is missing", fix
    return (
        f"OpenVINO finds no {unit} behind /{nodes}",
        f"install {driver}, and see that you may open /{nodes} (group render)",
    )


def _maker(device: Path) -> str:
    """The number of who made it; empty if the kernel does not tell."""
    try:
        return (device / "device/vendor").read_text().strip()
    except (OSError, ValueError):
        return ""


def _said(core: openvino.Core, device: str) -> str:
    """What OpenVINO says if the plugin of a device does not load; empty if it does."""
    try:
        core.get_property(device, "AVAILABLE_DEVICES")
    except RuntimeError as error:
        return str(error)
    return ""


def chosen(core: openvino.Core, compute: str, options: SessionOptions) -> str:
    """The device to compile for. Raises Unsupported or UsageError if it cannot be had."""
    if compute not in DEVICES:
        raise Unsupported(f"OpenVINO does not run on {compute!r} here", f"--compute {' or '.join(here(core))}")
    if why := lacking(core).get(compute):
        raise Unsupported(f"OpenVINO does not run on {compute!r} here: {why[0]}", why[1])
    if one_of("OpenVINO", options.extra, "fallback", OPTIONS["fallback"]) == "none":
        return DEVICES[compute]
    if compute not in ("gpu", "npu"):
        raise UsageError(f"fallback=cpu is for --compute gpu or npu, not {compute}", "leave it out")
    return f"{SHARED}{DEVICES[compute]},CPU"


def settings(device: str, artifact: Artifact, options: SessionOptions, kind: openvino.Type) -> dict[str, Any]:
    """What the model is compiled with: `kind` is what layers compute in that the file does not quantize."""
    import openvino

    properties = openvino.properties
    hint, modes = properties.hint, properties.hint.PerformanceMode
    found = {
        hint.performance_mode: modes.LATENCY if options.streams == 1 else modes.THROUGHPUT,
        # On CPUs with AVX512-BF16 or AMX it would run fp32 models in bf16 unless told otherwise, on Arm in f16.
        hint.inference_precision: kind,
    }
    if options.threads and device in ("CPU", CHOICE):
        found[properties.inference_num_threads] = options.threads
    if options.streams > 1:
        found[properties.streams.num] = options.streams
    if device == CHOICE:  # else it computes on the CPU until another device is ready
        found["ENABLE_STARTUP_FALLBACK"] = False
    if "NPU" in device and not (Path(openvino.__file__).parent / "libs" / NPU_COMPILER).is_file():
        found["NPU_COMPILER_TYPE"] = "DRIVER"  # PyPI's wheel has the plugin, but not its compiler
    if one_of("OpenVINO", options.extra, "cache", OPTIONS["cache"]) == "on":
        found[properties.cache_dir] = str(caches.compiled("openvino", artifact.identity))
    return found


def ran(compiled: openvino.CompiledModel, device: str) -> str:
    """The provider of a session. Raises Unsupported if the CPU took every layer of a device's model."""
    devices = compiled.get_property("EXECUTION_DEVICES")
    if not device.startswith(SHARED):
        return provider(", ".join(devices))
    first = device.removeprefix(SHARED).partition(",")[0]
    if not any(name.partition(".")[0] == first for name in devices):
        raise Unsupported(f"OpenVINO's {first} takes no layer of this model: all fell back to the CPU", "--compute cpu")
    return provider(first)


def told(compiled: openvino.CompiledModel, name: str) -> Any:
    """A property of the device that computes; None if it is not told. AUTO and HETERO keep it for each of theirs."""
    if name in (known := compiled.get_property("SUPPORTED_PROPERTIES")):
        return compiled.get_property(name)
    if "DEVICE_PROPERTIES" not in known:
        return None
    by_device = compiled.get_property("DEVICE_PROPERTIES")
    values = [by_device.get(device, {}).get(name) for device in compiled.get_property("EXECUTION_DEVICES")]
    return values[0] if len(set(map(str, values))) == 1 else None
