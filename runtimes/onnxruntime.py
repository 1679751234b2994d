"""ONNX Runtime: the CPU and CUDA execution providers, never a silent fallback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgebench.artifact import check_inputs, model_file
from edgebench.errors import BadFile, Unsupported, refuse_unknown_options
from edgebench.specs import Artifact, SessionOptions

if TYPE_CHECKING:
    from edgebench.runtimes.onnxruntime_session import OnnxRuntimeSession

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
INFER = """import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = SETTINGS["threads"] or 0
session = onnxruntime.InferenceSession(HERE / SETTINGS["model"], options, providers=["CPUExecutionProvider"])
run = lambda pixels: session.run(None, {SETTINGS["input"]: pixels})[0]"""


class OnnxRuntime:
    """Opens ONNX artifacts."""

    accepts = frozenset({"onnx"})
    native = ("onnx",)
    aliases = ("ort",)
    suffixes = {"onnx": ".onnx"}
    installs = {"onnxruntime": "edgebench[onnx]"}
    requirements = ("onnxruntime>=1.17",)
    libraries = ("onnxruntime", "onnxruntime-gpu")  # two distributions of the same module
    suits = ("any",)
    infer_py = INFER

    def __init__(self) -> None:
        import onnxruntime

        self._library = onnxruntime

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        available = self._library.get_available_providers()
        return tuple(compute for compute, provider in PROVIDERS.items() if provider in available)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> OnnxRuntimeSession:
        from edgebench.runtimes.onnxruntime_session import OnnxRuntimeSession

        onnxruntime = self._library
        refuse_unknown_options("ONNX Runtime", options.extra)
        if compute not in self.computes():
            raise Unsupported(
                f"this onnxruntime has no {PROVIDERS.get(compute, compute)!r}; "
                f"it has {', '.join(onnxruntime.get_available_providers())}",
                "--compute cpu, or install the build with that provider (onnxruntime-gpu)",
            )
        if artifact.precision != options.precision:
            raise Unsupported(
                f"ONNX Runtime runs an {artifact.precision} file as {artifact.precision}, not as {options.precision}",
                f"export at {options.precision}",
            )
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # its warnings go to stderr; what matters is read back below
        if options.threads:  # of each request: those in flight at once share what there is
            settings.intra_op_num_threads = max(1, options.threads // options.streams)
        path = model_file(artifact, self.suffixes[artifact.format])
        try:
            session = onnxruntime.InferenceSession(str(path), settings, providers=[_provider(compute, self.version())])
        except Exception as error:  # onnxruntime raises a dozen unrelated kinds for a file that it cannot read
            raise BadFile(f"ONNX Runtime cannot open {path}: {error}", "export the artifact anew") from error
        check_inputs(artifact, {one.name: one.shape for one in session.get_inputs()})
        return OnnxRuntimeSession(session, PROVIDERS[compute], options, path)


def _provider(compute: str, version: str) -> str | tuple[str, dict[str, str]]:
    """The execution provider. On CUDA it computes fp32 in TF32, with 10 bits of mantissa, unless told not to."""
    if compute != "cuda":
        return PROVIDERS[compute]
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < (1, 18):  # has no such option; cuBLAS and cuDNN, which it loads next, heed this
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
        return PROVIDERS[compute]
    return PROVIDERS[compute], {"use_tf32": "0"}
