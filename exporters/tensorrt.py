"""ONNX → a TensorRT plan, built on the board that will run it."""

from __future__ import annotations

from pathlib import Path

from edgebench.errors import Unsupported, UsageError, refuse_unknown_options
from edgebench.specs import Artifact, Exported, ExportOptions, Precision


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
        import tensorrt  # noqa: F401

        from edgebench.machine import cuda

        self._cuda = cuda

    def check(self, precision: Precision) -> None:
        self._cuda.require_gpu()

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        from edgebench.exporters import tensorrt_plan

        if options.precision != source.precision:
            raise Unsupported(
                f"TensorRT keeps the precision of the ONNX file, which is {source.precision}, not {options.precision}",
                f"an ONNX artifact in {options.precision}",
            )
        refuse_unknown_options("the TensorRT exporter", options.extra, ["workspace_mb", "dla"])
        workspace = _number(options.extra, "workspace_mb", 1)
        dla = _number(options.extra, "dla", 0)
        return tensorrt_plan.build(source, out, options.max_batch, workspace, dla)


def _number(extra: dict[str, str], name: str, least: int) -> int | None:
    if (text := extra.get(name)) is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and int(text) >= least):
        raise UsageError(f"{name}={text} is no whole number from {least} up", "for instance workspace_mb=1024 or dla=0")
    return int(text)
