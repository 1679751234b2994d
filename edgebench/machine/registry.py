"""From a name to an adapter, through entry points: the same for our own adapters as for anyone else's."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from edgebench.errors import Unsupported, unknown_name

Kind = Literal["runtimes", "exporters", "models", "scenarios"]

ALIASES = {"trt": "tensorrt", "ov": "openvino", "ort": "onnxruntime", "pytorch": "torch"}

# The extra that brings a missing module.
EXTRAS = {
    "torch": "train", "timm": "train", "safetensors": "train", "sklearn": "train", "onnx": "onnx", "onnxsim": "onnx",
    "onnxscript": "onnx", "onnxruntime": "onnx", "openvino": "openvino", "tensorrt": "tensorrt", "cuda": "tensorrt",
}  # fmt: skip


def _entries(kind: Kind) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"edgebench.{kind}")}


def names(kind: Kind) -> list[str]:
    """The registered names, installed libraries or not."""
    return sorted(_entries(kind))


def canonical(kind: Kind, name: str) -> str:
    """The registered name for what the user typed. Raises UsageError that offers the closest ones."""
    known = names(kind)
    if name not in known:
        name = ALIASES.get(name.lower(), name.lower())
    if name not in known:
        raise unknown_name(
            {"runtimes": "runtime", "exporters": "target", "models": "model", "scenarios": "scenario"}[kind],
            name,
            known,
        )
    return name


def load(kind: Kind, name: str) -> Any:
    """An instance of the adapter. Raises Unsupported, with the fix, if its library is absent or does not load."""
    return _guarded(kind, name, lambda adapter: adapter())


def load_object(kind: Kind, name: str) -> Any:
    """What the entry point names, as it is. Raises Unsupported as `load` does."""
    return _guarded(kind, name, lambda adapter: adapter)


def _guarded(kind: Kind, name: str, use: Callable[[Any], Any]) -> Any:
    name = canonical(kind, name)
    try:
        return use(_entries(kind)[name].load())
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        extra = EXTRAS.get(module)
        fix = f"pip install 'edgebench[{extra}]'" if extra else f"install the module {module!r}"
        if extra == "tensorrt":
            fix += " (a Jetson has TensorRT from JetPack: make the environment with --system-site-packages there)"
        raise Unsupported(f"{name} needs the Python module {module!r}, which is not installed", fix) from None
    except Unsupported:
        raise
    except Exception as error:  # a broken native library can raise anything when it is imported
        raise Unsupported(f"{name} does not load: {type(error).__name__}: {error}", "reinstall its library") from error
