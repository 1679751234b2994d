"""What ONNX Runtime's providers of NVIDIA need: libraries, precisions, and no bytes that they misread."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import os
from pathlib import Path
from types import ModuleType

from edgebench.errors import Unsupported
from edgebench.specs import SessionOptions

RTX = "onnxruntime_ep_nv_tensorrt_rtx"  # the module of its plug-in
NO_TF32 = "NVIDIA_TF32_OVERRIDE"  # heeded by cuBLAS, cuDNN and TensorRT as they load


def load_cuda(library: ModuleType) -> None:
    """Load CUDA's and cuDNN's libraries where pip put them (`onnxruntime-gpu[cuda,cudnn]`, or torch's own).

    The system's loader does not look there, and without them ONNX Runtime falls back to the CPU. What is missing is
    told on stdout, which belongs to the caller; whether the provider works is checked later.
    """
    if preload := getattr(library, "preload_dlls", None):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):
            preload()


def load_rtx(library: ModuleType) -> None:
    """Load the CUDA runtime that the plug-in's package brings, and does not find by itself."""
    spec = importlib.util.find_spec(RTX)
    for file in sorted(Path(spec.origin).parent.glob("libcudart.so.*")) if spec and spec.origin else ():
        ctypes.CDLL(str(file), ctypes.RTLD_GLOBAL)


def cuda(compute: str, options: SessionOptions) -> dict[str, str]:
    """It computes fp32 in TF32, with 10 bits of mantissa, unless told not to."""
    import onnxruntime

    major, minor = (int(part) for part in onnxruntime.__version__.split(".")[:2])
    if (major, minor) < (1, 18):  # has no such option
        os.environ[NO_TF32] = "0"
        return {}
    return {"use_tf32": "0"}


def tensorrt(compute: str, options: SessionOptions) -> dict[str, str]:
    """It takes lower precisions where it is told to, and has no option against TF32."""
    os.environ[NO_TF32] = "0"
    enabled = {"fp16": "trt_fp16_enable", "int8": "trt_int8_enable"}.get(options.precision)
    return {enabled: "1"} if enabled else {}


def rtx(compute: str, options: SessionOptions) -> dict[str, str]:
    """Its network has the types of the file, so there is nothing to enable."""
    os.environ[NO_TF32] = "0"
    return {}


def refuse_bytes(path: Path) -> None:
    """Raise Unsupported for uint8 around 0: TensorRT's parser reads it as int8 without a refusal."""
    try:
        from edgebench.linting.onnx_nodes import Nodes

        found = list(Nodes(path).to_uint8_around_0())
    except ImportError as error:
        what = f"TensorRT misreads some int8 files, and without onnx nobody can look: {error}"
        raise Unsupported(what, "pip install onnx") from None
    if found:
        raise Unsupported(
            f"{found[0].op_type} {found[0].name!r} and {len(found) - 1} more would give wrong answers: they make "
            "uint8 tensors, which TensorRT reads as int8",
            "edgebench export --target trt or rtx --precision int8, whose ranges lie around 0; or another provider",
        )
