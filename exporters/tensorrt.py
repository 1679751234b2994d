"""ONNX → a TensorRT plan, built on the board that will run it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from edgebench.exporters import tensorrt_plan
from edgebench.runtimes import tensorrt_missing

from edgebench.errors import Unsupported, UsageError, refuse_unknown_options
from edgebench.records import replacing
from edgebench.specs import Artifact, Exported, ExportOptions, Precision

if TYPE_CHECKING:
    import tensorrt as trt

NO_PLAN = (
    "if memory ran out, close other programs or give --exporter-option workspace_mb=512; otherwise take another "
    "TensorRT or backbone"
)


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
    shared = tensorrt_missing.SHARED
    libraries = ("tensorrt",)
    libraries_for = {"int8": ("onnx",)}  # which rewrites the zero points

    def __init__(self) -> None:
        import tensorrt

        from edgebench.machine import cuda

        self._library, self._cuda = tensorrt, cuda

    def check(self, precision: Precision) -> None:
        self._cuda.require_gpu()

    @staticmethod
    def handed(source: Artifact, out: Path) -> Path:
        """The ONNX file as the parser gets it; it is written into `out` if it is not the artifact's own."""
        return tensorrt_plan.handed(source, source.precision, out)

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        if options.precision != source.precision:
            raise Unsupported(
                f"TensorRT keeps the precision of the ONNX file, which is {source.precision}, not {options.precision}",
                f"an ONNX artifact in {options.precision}",
            )
        refuse_unknown_options("the TensorRT exporter", options.extra, ["workspace_mb", "dla"])
        workspace = _number(options.extra, "workspace_mb", 1)
        dla = _number(options.extra, "dla", 0)
        trt = self._library
        with replacing.scratch() as scratch:
            making = tensorrt_plan.Making(trt, "TensorRT", source, self.handed(source, scratch))
            if workspace:
                making.config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace << 20)
            if dla is not None:
                _use_dla(trt, making.builder, making.config, dla, source.precision)
            making.write(out, options.max_batch, NO_PLAN)
        return Exported(
            files=(tensorrt_plan.FILE,),
            inputs=making.inputs,
            outputs=making.outputs,
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
