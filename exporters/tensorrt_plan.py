"""From an ONNX artifact to a plan: what the exporters of TensorRT and of TensorRT-RTX share."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, Unsupported
from edgebench.specs import Artifact, Precision, TensorSpec

if TYPE_CHECKING:
    import tensorrt as trt

FILE = "model.engine"
# Exports are verified at batch sizes 1, 3 and 8, and a plan refuses what lies beyond its profile.
MAX_BATCH = 8


def handed(source: Artifact, precision: Precision, out: Path) -> Path:
    """The ONNX file as the parser gets it; it is written into `out` if it is not the artifact's own."""
    path = model_file(source, ".onnx")
    if precision not in ("int8", "bf16"):
        return path  # by path, not by content: weights kept outside the ONNX file are found beside it
    try:
        if precision == "bf16":
            from edgebench.exporters import tensorrt_bf16 as changed
        else:
            from edgebench.exporters import tensorrt_symmetric as changed
    except ImportError as error:
        what = f"a plan in {precision} needs onnx, which does not load: {error}"
        raise Unsupported(what, "pip install onnx") from None
    (out / path.name).write_bytes(changed.read(path).SerializeToString())
    return out / path.name


class Making:
    """A plan in the making: the network is strongly typed, so its precision is that of the ONNX file.

    `config` may be changed before `write`. Raises EdgebenchError in the library's own words.
    """

    def __init__(self, library: ModuleType, product: str, source: Artifact, onnx_file: Path) -> None:
        from edgebench.runtimes.tensorrt_log import log

        self._trt, self._name = library, f"{product} {library.__version__}"
        self._log = log(library)
        try:
            self.builder: trt.Builder = library.Builder(self._log)
        except TypeError as error:  # pybind11 reports a null pointer this way
            raise self._error("does not start", [], "check the driver with `nvidia-smi`") from error
        # Flags are positions of bits, and STRONGLY_TYPED is another in TensorRT 11 than in 10.
        flags = 1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        self._network: trt.INetworkDefinition = self.builder.create_network(flags)
        self._parser = library.OnnxParser(self._network, self._log)  # owns the weights: lives until the plan is built
        if not self._parser.parse_from_file(str(onnx_file)):
            reasons = [_parse_error(self._parser.get_error(i)) for i in range(self._parser.num_errors)]
            fix = "a newer TensorRT knows more operators; or export the ONNX again, or take another backbone"
            raise self._error("cannot read the ONNX file", reasons, fix)
        self.inputs, self.outputs = source.inputs, source.outputs
        if not source.adopted:
            self.inputs = tuple(self._spec(self._network.get_input(i)) for i in range(self._network.num_inputs))
            self.outputs = tuple(self._spec(self._network.get_output(i)) for i in range(self._network.num_outputs))
        self.config: trt.IBuilderConfig = self.builder.create_builder_config()
        # On by default, it would compute fp32 with ten bits of mantissa and still call it fp32.
        self.config.clear_flag(library.BuilderFlag.TF32)
        # So that the plan can report the precision of each layer.
        self.config.profiling_verbosity = library.ProfilingVerbosity.DETAILED

    def write(self, out: Path, max_batch: int, fix: str) -> None:
        """Build the plan and write it into the folder `out`; `fix`: what helps if that fails."""
        self._add_profile(max_batch, {spec.name: spec.sizes for spec in self.inputs if spec.sizes is not None})
        plan = self.builder.build_serialized_network(self._network, self.config)
        if plan is None:
            raise self._error("cannot build the engine", [], fix)
        with (out / FILE).open("wb") as file:
            file.write(plan)  # a buffer, not bytes

    def _add_profile(self, max_batch: int, sizes: dict[str, tuple[int, ...]]) -> None:
        """Let the batch vary from 1 up, with kernels chosen for the single image that a camera gives.

        The open dimensions of an adopted model have the sizes that it was adopted with, and no others.
        """
        inputs = [self._network.get_input(i) for i in range(self._network.num_inputs)]
        if not any(-1 in tuple(tensor.shape) for tensor in inputs):
            return
        profile = self.builder.create_optimization_profile()
        for tensor in inputs:
            if tensor.name in sizes:
                if -1 in tuple(tensor.shape):
                    profile.set_shape(tensor.name, *[sizes[tensor.name]] * 3)
                continue
            batch, *rest = tensor.shape
            if -1 in rest:
                raise Unsupported(
                    f"input {tensor.name!r} has the shape {tuple(tensor.shape)}: more than its batch varies",
                    "export the ONNX with a fixed image size",
                )
            if batch == -1:
                profile.set_shape(tensor.name, (1, *rest), (1, *rest), (max(max_batch, MAX_BATCH), *rest))
        if self.config.add_optimization_profile(profile) < 0:
            told = f"the sizes {sizes}" if sizes else f"the batch sizes 1 to {max_batch}"
            raise EdgebenchError(f"TensorRT refuses {told}", "other sizes" if sizes else "a smaller max_batch")

    def _spec(self, tensor: trt.ITensor) -> TensorSpec:
        shape = tuple("batch" if size == -1 else int(size) for size in tensor.shape)
        try:
            return TensorSpec(tensor.name, np.dtype(self._trt.nptype(tensor.dtype)).name, shape)
        except TypeError as error:
            fix = "an ONNX file whose input and output are fp32"
            raise Unsupported(f"{tensor.name!r} is {tensor.dtype.name}, which numpy lacks", fix) from error

    def _error(self, what: str, reasons: list[str], fix: str) -> EdgebenchError:
        return EdgebenchError("\n".join([f"{self._name} {what}", *(reasons or self._log.lines)]), fix)


def _parse_error(error: trt.ParserError) -> str:
    node = f"node {error.node()} {error.node_name()!r} ({error.node_operator()}): " if error.node() >= 0 else ""
    return f"  {node}{error.desc()}"
