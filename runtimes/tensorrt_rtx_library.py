"""Loads TensorRT-RTX as pip brings it: NVIDIA's two libraries first, then the bindings, which do not look for them."""

from __future__ import annotations

import ctypes
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

LIBRARIES = ("tensorrt_rtx_cu12_libs", "tensorrt_rtx_cu13_libs")


def load() -> ModuleType:
    """The module of the bindings. Raises ModuleNotFoundError where they are not installed."""
    import tensorrt_rtx_libs  # noqa: F401  (names the missing module if there is none)

    for name in LIBRARIES:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        paths = [Path(str(found.locate_file(file))) for file in found.files or () if ".so" in file.name]
        # The parser needs the symbols of the other.
        for path in sorted(paths, key=lambda path: "parser" in path.name):
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    import tensorrt_rtx_bindings

    return tensorrt_rtx_bindings
