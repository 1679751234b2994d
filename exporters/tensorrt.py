"""ONNX → a TensorRT plan, built on the board that will run it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, Unsupported, UsageError, refuse_unknown_options
from edgebench.specs import Artifact, Exported, ExportOptions, Precision, TensorSpec

if TYPE_CHECKING:
    import tensorrt as trt

FILE = "model.engine"
# Exports are verified at batch sizes 1, 3 and 8, and a plan refuses what lies beyond its profile.
MAX_BATCH = 8


class TensorRtExporter:
    """One recipe for TensorRT 10.3 to 11: the network is strongly typed, so its precision is that of the ONNX file.

    Options: `workspace_mb`, the scratch memory that a layer may take; without it TensorRT may take all of the GPU's.
    `dla`, the core of a Jetson's DLA that takes the layers it can; the GPU takes the others.
    """

    accepts = {p: ("onnx", p) for p in ("fp32", "fp16", "int8")}
    bakes_input = False
    produces = "tensorrt"
    verify_with = "tensorrt"
    verify_on = "cuda"
    aliases = ("trt",)
    installs = dict.fromkeys(("tensorrt", "cuda"), "edgebench[tensorrt]")
    install_note = "a Jetson has TensorRT from JetPack: make the environment with --system-site-packages there"
    libraries = ("tensorrt",)
    libraries_for = {"int8": ("onnx",)}  # which rewrites the zero points

    def __init__(self) -> None:
        import tensorrt

        from edgebench.machine import cuda

        self._library, self._cuda = tensorrt, cuda

    def check(self, precision: Precision) -> None:
        self._cuda.require_gpu()

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        if options.precision != source.precision:
            raise Unsupported(
                f"TensorRT keeps the precision of the ONNX file, which is {source.precision}, not {options.precision}",
                f"an ONNX artifact in {options.precision}",
            )
        refuse_unknown_options("the TensorRT exporter", options.extra, ["workspace_mb", "dla"])
        workspace = _number(options.extra, "workspace_mb", 1)
        dla = _number(options.extra, "dla", 0)
        return self._build(source, out, options.max_batch, workspace, dla)

    def _build(self, source: Artifact, out: Path, max_batch: int, workspace: int | None, dla: int | None) -> Exported:
        """Write the plan of an ONNX artifact into the folder `out`. Raises EdgebenchError in TensorRT's own words."""
        from edgebench.runtimes.tensorrt_log import Log

        trt, logger = self._library, Log()
        try:
            builder = trt.Builder(logger)
        except TypeError as error:  # pybind11 reports a null pointer this way
            raise _error(trt, "does not start", list(logger.lines), "check the driver with `nvidia-smi`") from error
        # Flags are positions of bits, and STRONGLY_TYPED is another in TensorRT 11 than in 10.
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        parser = trt.OnnxParser(network, logger)  # owns the weights: it must live until the plan is built
        if not _parse(parser, model_file(source, ".onnx"), source.precision):
            reasons = [_parse_error(parser.get_error(i)) for i in range(parser.num_errors)]
            raise _error(
                trt,
                "cannot read the ONNX file",
                reasons or list(logger.lines),
                "a newer TensorRT knows more operators; or export the ONNX again, or take another backbone",
            )
        inputs, outputs = source.inputs, source.outputs
        if not source.adopted:
            inputs = tuple(_spec(trt, network.get_input(i)) for i in range(network.num_inputs))
            outputs = tuple(_spec(trt, network.get_output(i)) for i in range(network.num_outputs))
        config = builder.create_builder_config()
        # On by default, it would compute fp32 with ten bits of mantissa and still call it fp32.
        config.clear_flag(trt.BuilderFlag.TF32)
        # So that the plan can report the precision of each layer.
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if workspace:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace << 20)
        if dla is not None:
            _use_dla(trt, builder, config, dla, source.precision)
        _add_profile(builder, network, config, max_batch, {s.name: s.sizes for s in inputs if s.sizes is not None})
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise _error(
                trt,
                "cannot build the engine",
                list(logger.lines),
                "if memory ran out, close other programs or give --exporter-option workspace_mb=512; "
                "otherwise take another TensorRT or backbone",
            )
        with (out / FILE).open("wb") as file:
            file.write(plan)  # a buffer, not bytes
        return Exported(
            files=(FILE,),
            inputs=inputs,
            outputs=outputs,
            # A plan runs on this TensorRT and this GPU only; the runtime compares.
            tools={"tensorrt": trt.__version__, **self._cuda.gpu(), **({} if dla is None else {"dla": str(dla)})},
            precision=source.precision,
        )


def _number(extra: dict[str, str], name: str, least: int) -> int | None:
    if (text := extra.get(name)) is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and int(text) >= least):
        raise UsageError(f"{name}={text} is no whole number from {least} up", "for instance workspace_mb=1024 or dla=0")
    return int(text)


def _parse(parser: trt.OnnxParser, path: Path, precision: Precision) -> bool:
    if precision != "int8":
        # By path, not by content: weights kept outside the ONNX file are found beside it.
        return parser.parse_from_file(str(path))
    try:
        from edgebench.exporters import tensorrt_symmetric
    except ImportError as error:
        raise Unsupported(f"a plan in int8 needs onnx, which does not load: {error}", "pip install onnx") from None
    return parser.parse(tensorrt_symmetric.read(path).SerializeToString())


def _use_dla(
    trt: ModuleType, builder: trt.Builder, config: trt.IBuilderConfig, core: int, precision: Precision
) -> None:
    """Few networks run on a DLA whole: what it cannot run falls back to the GPU, and the session says so."""
    if precision == "fp32":
        raise Unsupported("a DLA computes in fp16 or int8, not in fp32", "export the ONNX in one of them first")
    if core >= builder.num_DLA_cores:
        raise Unsupported(f"there is no DLA core {core}: this GPU has {builder.num_DLA_cores} of them", "drop dla")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _error(trt: ModuleType, what: str, reasons: list[str], fix: str) -> EdgebenchError:
    return EdgebenchError("\n".join([f"TensorRT {trt.__version__} {what}", *reasons]), fix)


def _parse_error(error: trt.ParserError) -> str:
    node = f"node {error.node()} {error.node_name()!r} ({error.node_operator()}): " if error.node() >= 0 else ""
    return f"  {node}{error.desc()}"


def _add_profile(
    builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig, max_batch: int,
    sizes: dict[str, tuple[int, ...]],
) -> None:  # fmt: skip
    """Let the batch vary from 1 up, with kernels chosen for the single image that a camera gives.

    The open dimensions of an adopted model have the sizes that it was adopted with, and no others.
    """
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    if not any(-1 in tuple(tensor.shape) for tensor in inputs):
        return
    profile = builder.create_optimization_profile()
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
    if config.add_optimization_profile(profile) < 0:
        told = f"the sizes {sizes}" if sizes else f"the batch sizes 1 to {max_batch}"
        raise EdgebenchError(f"TensorRT refuses {told}", "other sizes" if sizes else "a smaller max_batch")


def _spec(trt: ModuleType, tensor: trt.ITensor) -> TensorSpec:
    shape = tuple("batch" if size == -1 else int(size) for size in tensor.shape)
    try:
        return TensorSpec(tensor.name, np.dtype(trt.nptype(tensor.dtype)).name, shape)
    except TypeError as error:
        raise Unsupported(
            f"{tensor.name!r} is {tensor.dtype.name}, which numpy lacks", "an ONNX file whose input and output are fp32"
        ) from error
