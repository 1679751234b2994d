"""Checkpoint → ONNX: dynamic batch, simplified, checked."""

from __future__ import annotations

from pathlib import Path

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, refuse_unknown_options
from edgebench.exporting import quantize
from edgebench.specs import Artifact, Exported, ExportOptions, Precision

FILE = "model.onnx"


class OnnxExporter:
    """fp32 from a checkpoint, fp16 and int8 from that."""

    accepts = {"fp32": ("checkpoint", "fp32"), "fp16": ("onnx", "fp32"), "int8": ("onnx", "fp32")}
    bakes_input = True
    produces = "onnx"
    verify_with = "onnxruntime"
    verify_on = "cpu"
    installs = {
        **dict.fromkeys(("torch", "timm", "safetensors", "sklearn"), "edgebench[train]"),
        **dict.fromkeys(("onnx", "onnxsim", "onnxscript", "onnxruntime"), "edgebench[onnx]"),
    }
    libraries = ("torch", "timm", "onnx", "onnxscript", "onnxsim", "onnxruntime")
    libraries_for = {"int8": ("nncf",)}

    def __init__(self) -> None:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxsim  # noqa: F401
        import torch  # noqa: F401

        from edgebench.training import models  # noqa: F401

    def check(self, precision: Precision) -> None:
        quantize.check(precision)

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        import onnx
        from edgebench.exporters import onnx_input, onnx_lower, onnx_trace

        refuse_unknown_options("the ONNX exporter", options.extra)
        path, in_float = out / FILE, ()
        if source.format == "onnx" and source.precision == options.precision:
            model, tools = onnx.load(model_file(source, ".onnx")), {}
        elif source.format == "onnx":
            model, tools, in_float = onnx_lower.lowered(source, options)
        else:
            model, tools = onnx_trace.exported(source, path)
        inputs = source.inputs
        if options.input != source.input_type:
            model, pixels = onnx_input.take_pixels(model, source.preprocessing)
            inputs = (pixels,)
        onnx.save(model, path)
        _check(path)
        return Exported(
            files=(FILE,),
            inputs=inputs,
            outputs=source.outputs,
            tools=tools,
            precision=options.precision,
            in_float=in_float,
        )


def _check(path: Path) -> None:
    """Let onnx's own checker judge the file."""
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EdgebenchError(f"onnx's checker refuses the exported graph: {error}") from error
