"""TensorRT: plans, on the GPU that they were built for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from edgebench.runtimes import tensorrt_layers, tensorrt_missing

from edgebench.artifact import model_file
from edgebench.errors import BadFile, EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.protocols import Run
from edgebench.specs import Artifact, Effective, Layers, SessionOptions

if TYPE_CHECKING:
    import tensorrt as trt


class TensorRt:
    """Opens plans, each only where it was built: elsewhere TensorRT refuses it, or runs it below its speed."""

    accepts = frozenset({"tensorrt"})
    native = ("tensorrt",)
    aliases = ("trt",)
    suffixes = {"tensorrt": ".engine"}
    installs = dict.fromkeys(("tensorrt", "cuda"), "edgebench[tensorrt]")
    install_note = "a Jetson has TensorRT from JetPack: make the environment with --system-site-packages there"
    shared = tensorrt_missing.SHARED
    # TensorRT itself comes with JetPack, not from PyPI; beside it goes the cuda-python of JetPack's own CUDA.
    requirements = ("cuda-python=={cuda}.*",)
    system_module = "tensorrt"
    libraries = ("tensorrt",)
    suits = ("cuda",)
    on, takes = ("cuda",), {}

    product = "TensorRT"
    anew = (
        "a plan runs only on the TensorRT and the GPU it was built with: on this board, `edgebench export --target trt`"
    )

    def __init__(self) -> None:
        from edgebench.machine import cuda

        self._library, self._cuda = self._load(), cuda

    def _load(self) -> ModuleType:
        import tensorrt

        return tensorrt

    def _unfit(self, tools: dict[str, str]) -> str:
        """What here is other than what a plan of these tools was built with; empty if nothing is."""
        for tool, value in {"tensorrt": self.version(), **self._cuda.gpu()}.items():
            if (built := tools.get(tool, value)) != value:
                return f"the plan was built with {tool} {built}; here it is {value}"
        return ""

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        return ("cuda",) if self._cuda.has_gpu() else ()

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> TensorRtSession:
        if compute != "cuda":
            raise Unsupported(f"{self.product} does not run on {compute!r}", "--compute cuda")
        if options.precision != artifact.precision:
            message = f"this plan was built in {artifact.precision} and cannot run in {options.precision}"
            raise Unsupported(message, f"export from an ONNX artifact in {options.precision}")
        refuse_unknown_options(self.product, options.extra)
        self._cuda.require_gpu()
        if other := self._unfit(artifact.tools):
            raise Unsupported(other, self.anew)
        return TensorRtSession(self, self._library, artifact, options)


class TensorRtSession:
    """One execution context on a stream of its own; `run` includes the copies to and from the GPU."""

    def __init__(self, runtime: TensorRt, trt: ModuleType, artifact: Artifact, options: SessionOptions) -> None:
        from edgebench.runtimes.tensorrt_log import log

        from edgebench.machine import cuda

        self._product, self._library, self._cuda = runtime.product, trt, cuda
        self._owned = ExitStack()  # what CUDA gave us, released last in, first out
        self._inputs: dict[str, _Tensor] = {}
        self._outputs: dict[str, _Tensor] = {}
        self._logger, self._context = log(trt), None
        self._runtime, dla = trt.Runtime(self._logger), artifact.tools.get("dla")
        if dla is not None:
            self._runtime.DLA_core = int(dla)
        path = model_file(artifact, runtime.suffixes[artifact.format])
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise self._error(f"cannot load {path}", runtime.anew, BadFile)
        try:
            self._context = self._engine.create_execution_context()
            if self._context is None:
                raise self._error("cannot make an execution context", "close what else uses the GPU's memory")
            self._stream = self._owned.enter_context(cuda.stream())
            for name in (self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)):
                tensor = _Tensor(self._engine, name, trt, cuda)
                self._owned.callback(tensor.buffer.free)
                (self._inputs if tensor.is_input else self._outputs)[name] = tensor
            # Room for the largest batch now: a lack of memory shows here, and the first request allocates nothing.
            self._fit({name: tensor.at(options.batch) for name, tensor in self._inputs.items()})
        except BaseException:
            self.close()
            raise
        where = runtime.product + ("" if dla is None else f" (DLA {dla}, GPU fallback)")
        self.effective = Effective(provider=where, precision=artifact.precision, threads=None, version=trt.__version__)

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._context is None:
            raise EdgebenchError(f"the {self._product} session is closed", "open the artifact again")
        shapes = {name: array.shape for name, array in inputs.items()}
        if shapes != self._fitted:
            self._fit(shapes)
        for name, tensor in self._inputs.items():
            if inputs[name].dtype != (dtype := tensor.buffer.view.dtype):
                raise EdgebenchError(f"input {name!r} is {inputs[name].dtype}; this plan takes {dtype}", "convert it")
            np.copyto(tensor.buffer.view, inputs[name])
        try:
            for tensor in self._inputs.values():
                tensor.buffer.upload(self._stream)
            if not self._context.execute_async_v3(int(self._stream)):
                raise self._error("refused to run", "open the artifact again")
            for tensor in self._outputs.values():
                tensor.buffer.download(self._stream)
        finally:  # also after a failure: nothing may still run when the buffers are next written to or freed
            self._cuda.call(self._cuda.cudart.cudaStreamSynchronize, self._stream)
        return {name: tensor.buffer.view.copy() for name, tensor in self._outputs.items()}

    def layers(self) -> Sequence[Layers]:
        inspector = self._engine.create_engine_inspector()
        told = inspector.get_engine_information(self._library.LayerInformationFormat.JSON)
        return tensorrt_layers.layers(told, self.effective.provider)

    def lanes(self, count: int) -> Sequence[Run]:
        return []  # one execution context takes one request at a time

    def device_time_ns(self) -> int | None:
        return None

    def _fit(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Tell TensorRT the shapes of the inputs, and give every tensor the memory that it needs for them."""
        if shapes.keys() != self._inputs.keys():
            raise EdgebenchError(f"the plan's inputs are {sorted(self._inputs)}, not {sorted(shapes)}", "name them so")
        for name, shape in shapes.items():
            self._inputs[name].check(shape)
        self._fitted: dict[str, tuple[int, ...]] | None = None  # set once everything has worked
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise self._error(f"refuses the shape {shape} for {name!r}", "export again for this shape")
        for name, tensor in (self._inputs | self._outputs).items():
            tensor.buffer.fit(tuple(self._context.get_tensor_shape(name)))
            if not self._context.set_tensor_address(name, tensor.buffer.device):
                raise self._error(f"refuses the memory for {name!r}", "open the artifact again")
        self._fitted = shapes

    def _error(self, what: str, fix: str, kind: type[EdgebenchError] = EdgebenchError) -> EdgebenchError:
        return kind("\n".join([f"{self._product} {self._library.__version__} {what}", *self._logger.lines]), fix)

    def close(self) -> None:
        self._context = self._engine = self._runtime = None  # in this order: each before the one that it was made from
        self._owned.close()

    def __enter__(self) -> TensorRtSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Tensor:
    """An input or output of the plan: its possible shapes, and its memory."""

    def __init__(self, engine: trt.ICudaEngine, name: str, trt: ModuleType, cuda: ModuleType) -> None:
        self.name = name
        self.is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        self.least = self.most = tuple(engine.get_tensor_shape(name))
        if self.is_input and -1 in self.most:
            self.least, _, self.most = (tuple(shape) for shape in engine.get_tensor_profile_shape(name, 0))
        self.buffer = cuda.Buffer(np.dtype(trt.nptype(engine.get_tensor_dtype(name))))

    def at(self, batch: int) -> tuple[int, ...]:
        """The input's shape at this batch size, or its only shape."""
        return (batch, *self.most[1:]) if self.least != self.most else self.most

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise EdgebenchError unless the input may have this shape."""
        bounds = list(zip(self.least, self.most, strict=True))
        if len(shape) != len(bounds) or any(not a <= x <= b for x, (a, b) in zip(shape, bounds, strict=True)):
            takes = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in bounds)
            message = f"input {self.name!r} has the shape {shape}; this plan takes ({takes})"
            raise EdgebenchError(message, "feed it so, or export again for a larger batch")
