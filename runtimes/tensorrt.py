"""TensorRT: plans, on the GPU that they were built for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.artifact import model_file
from edgebench.errors import Unsupported, refuse_unknown_options
from edgebench.specs import Artifact, SessionOptions

if TYPE_CHECKING:
    from edgebench.runtimes.tensorrt_session import TensorRtSession

ANEW = "a plan runs only on the TensorRT and the GPU it was built with: on this board, `edgebench export --target trt`"


class TensorRt:
    """Opens plans, each only where it was built: elsewhere TensorRT refuses it, or runs it below its speed."""

    accepts = frozenset({"tensorrt"})
    native = ("tensorrt",)
    aliases = ("trt",)
    suffixes = {"tensorrt": ".engine"}
    installs = dict.fromkeys(("tensorrt", "cuda"), "edgebench[tensorrt]")
    install_note = "a Jetson has TensorRT from JetPack: make the environment with --system-site-packages there"
    # TensorRT itself comes with JetPack, and is not on PyPI for boards; beside it goes the cuda-python of JetPack's own
    # CUDA: 12 on JetPack 6, 13 on JetPack 7.
    requirements = ("cuda-python=={cuda}.*",)
    system_module = "tensorrt"
    libraries = ("tensorrt",)
    suits = ("cuda",)

    def __init__(self) -> None:
        import tensorrt

        from edgebench.machine import cuda

        self._library, self._cuda = tensorrt, cuda

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        return ("cuda",) if self._cuda.has_gpu() else ()

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> TensorRtSession:
        from edgebench.runtimes.tensorrt_session import TensorRtSession

        if compute != "cuda":
            raise Unsupported(f"TensorRT does not run on {compute!r}", "--compute cuda")
        if options.precision != artifact.precision:
            message = f"this plan was built in {artifact.precision} and cannot run in {options.precision}"
            raise Unsupported(message, f"export from an ONNX artifact in {options.precision}")
        refuse_unknown_options("TensorRT", options.extra)
        self._cuda.require_gpu()
        for tool, value in {"tensorrt": self.version(), **self._cuda.gpu()}.items():
            if (built := artifact.tools.get(tool, value)) != value:
                raise Unsupported(f"the plan was built with {tool} {built}; here it is {value}", ANEW)
        return TensorRtSession(model_file(artifact, self.suffixes[artifact.format]), artifact, options, ANEW)
