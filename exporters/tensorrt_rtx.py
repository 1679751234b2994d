"""ONNX → a plan of TensorRT-RTX, for the RTX cards that are named; it is built with or without one of them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from edgebench.exporters import tensorrt_plan

from edgebench.errors import Unsupported, UsageError, refuse_unknown_options
from edgebench.records import replacing
from edgebench.specs import Artifact, Exported, ExportOptions, Precision

NO_PLAN = "leave an architecture that it names out of arch=; else another --precision, or another backbone"
NO_CARD = "TensorRT-RTX finds no NVIDIA card to run it on"


class TensorRtRtxExporter:
    """Builds ahead of time: without a card the product is built and not run.

    Option `arch`: the architectures that the plan serves, as "8.9", "8.9,12.0" or "all"; by default that of the card
    here, else that of the device.
    """

    # TensorRT keeps the precision of the ONNX file; there is none in bf16, so that is made of fp32 on the way.
    accepts = {p: ("onnx", p) for p in ("fp32", "fp16", "int8")} | {"bf16": ("onnx", "fp32")}
    bakes_input = False
    produces = "tensorrt_rtx"
    verify_with = "tensorrt_rtx"
    verify_on = "cuda"
    aliases = ("rtx",)
    installs = dict.fromkeys(("tensorrt_rtx_libs", "tensorrt_rtx_bindings"), "edgebench[tensorrt-rtx]")
    install_note = "90 MB, under NVIDIA's licence; it needs neither a card nor a driver"
    libraries = ("tensorrt_rtx_cu12_libs", "tensorrt_rtx_cu13_libs")
    libraries_for = dict.fromkeys(("int8", "bf16"), ("onnx",))  # which rewrites the file

    def __init__(self) -> None:
        from edgebench.runtimes import tensorrt_rtx_library

        self._library = tensorrt_rtx_library.load()

    def check(self, precision: Precision) -> None:
        """It builds on any machine that has the library."""

    def unrun(self) -> str:
        """Why its product cannot be run on this machine; empty if it can."""
        return "" if _card() else NO_CARD

    @staticmethod
    def handed(source: Artifact, out: Path) -> Path:
        """The ONNX file as the parser gets it; it is written into `out` if it is not the artifact's own."""
        return tensorrt_plan.handed(source, source.precision, out)

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        refuse_unknown_options("the TensorRT-RTX exporter", options.extra, ["arch"])
        trt, wanted = self._library, options.precision
        if wanted != source.precision and (wanted, source.precision) != ("bf16", "fp32"):
            raise Unsupported(
                f"TensorRT-RTX keeps the precision of the ONNX file, which is {source.precision}, not {wanted}",
                f"an ONNX artifact in {wanted}",
            )
        names = _architectures(trt, options.extra.get("arch") or _card() or options.architecture)
        with replacing.scratch() as scratch:
            onnx_file = tensorrt_plan.handed(source, wanted, scratch)
            making = tensorrt_plan.Making(trt, "TensorRT-RTX", source, onnx_file)
            making.config.num_compute_capabilities = len(names)
            for i, name in enumerate(names.values()):
                making.config.set_compute_capability(getattr(trt.ComputeCapability, name), i)
            making.write(out, options.max_batch, NO_PLAN)
        return Exported(
            files=(tensorrt_plan.FILE,),
            inputs=making.inputs,
            outputs=making.outputs,
            # A plan runs on this version and these architectures only; the runtime compares.
            tools={"tensorrt_rtx": trt.__version__, "architectures": ", ".join(names)},
            precision=wanted,
        )


def _card() -> str:
    """The architecture of the card here, as "8.9"; empty if there is none."""
    try:
        from edgebench.machine import cuda

        return cuda.gpu()["compute_capability"] if cuda.has_gpu() else ""
    except ModuleNotFoundError:  # cuda-python, without which nothing runs on a card
        return ""


def _architectures(trt: ModuleType, asked: str) -> dict[str, str]:
    """The library's names of the architectures, by their number: "8.9" → "SM89"."""
    members = (name.removeprefix("SM") for name in trt.ComputeCapability.__members__ if name.startswith("SM"))
    known = {f"{digits[:-1]}.{digits[-1]}": f"SM{digits}" for digits in members}
    listed = f"arch=8.9 with --exporter-option, or several: {','.join(known)}, or all"
    if not asked:
        raise UsageError("for which card is the plan? This machine has none", f"{listed}; or --device")
    if asked == "all":
        return known
    if unknown := [one for one in asked.split(",") if one not in known]:
        raise UsageError(f"TensorRT-RTX {trt.__version__} builds for no card of architecture {unknown[0]!r}", listed)
    return {one: known[one] for one in asked.split(",")}
