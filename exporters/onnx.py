"""Checkpoint or program of torch.export → ONNX: dynamic batch, simplified, checked."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, refuse_unknown_options
from edgebench.exporting import onnx_weights, quantize
from edgebench.specs import Artifact, Exported, ExportOptions, Precision

if TYPE_CHECKING:
    import onnx
    import torch

FILE = "model.onnx"
# They make Reshape → Gemm → Reshape of MatMul → Add. ONNX Runtime has kernels in int8 for MatMul alone where the result
# stays in floating point, and computes such a Gemm in fp32: DeiT-S in int8 then took 1.6 × the time of fp32, not 0.5 ×.
KEEP_MATMUL = ["fuse_matmul_add_bias_into_gemm", "fuse_matmul_add_bias_into_gemm_batched"]


class OnnxExporter:
    """fp32 from a checkpoint or a program of torch.export, fp16 and int8 from that."""

    accepts = {"fp32": ("checkpoint", "fp32"), "fp16": ("onnx", "fp32"), "int8": ("onnx", "fp32")}
    also = {"checkpoint": "pt2"}
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
        import onnx
        import onnxruntime  # noqa: F401
        import torch  # noqa: F401

        from edgebench.training import models

        if find_spec("onnxsim") is None:  # loading it takes a second, and only a trace needs it
            raise ModuleNotFoundError("No module named 'onnxsim'", name="onnxsim")
        self._onnx, self._restore = onnx, models.restore

    def check(self, precision: Precision) -> None:
        quantize.check(precision)

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        from edgebench.exporters import onnx_input, onnx_lower, onnx_trace

        onnx = self._onnx
        refuse_unknown_options("the ONNX exporter", options.extra)
        path, in_float = out / FILE, ()
        if source.format == "onnx" and source.precision == options.precision:
            model, tools = onnx_weights.load(model_file(source, ".onnx")), {}
        elif source.format == "onnx":
            model, tools, in_float = onnx_lower.lowered(source, options)
        else:
            model, tools = self._traced(source, path)
        inputs = source.inputs
        if source.format != "onnx" and not onnx_trace.open_batch(source):
            inputs = tuple(replace(spec, shape=spec.sizes) for spec in inputs)
        if options.input != source.input_type:
            model, pixels = onnx_input.take_pixels(model, source.preprocessing)
            inputs = (pixels,)
        _save(onnx, model, path)
        if not source.adopted:  # else the checker may refuse what runtimes take; one of them verifies it in any case
            _check(onnx, path)
        return Exported(
            files=(FILE,),
            inputs=inputs,
            outputs=source.outputs,
            tools=tools,
            precision=options.precision,
            in_float=in_float,
        )

    def _traced(self, source: Artifact, path: Path) -> tuple[onnx.ModelProto, dict[str, str]]:
        """The graph of a checkpoint's network, or of a program of torch.export, and the tools that made it.

        Through TorchScript, which is three to ten times faster than torch.export and gave the same graphs on every
        backbone we tried; a network that cannot be traced goes through torch.export.
        """
        import onnxsim
        from edgebench.exporters import onnx_trace

        onnx = self._onnx
        onnx_trace.write(self._opened(source), source, path)
        # Folds constants and drops nodes without effect.
        simplified, same = onnxsim.simplify(onnx.load(path), skipped_optimizers=KEEP_MATMUL)
        if not same:
            raise EdgebenchError(
                f"onnxsim changed the answers of {path.name}", "report it to onnxsim with the model's name"
            )
        return simplified, {"onnx": onnx.__version__, "onnxsim": onnxsim.__version__, "opset": _opset(simplified)}

    def _opened(self, source: Artifact) -> torch.nn.Module:
        if source.format != "pt2":
            return self._restore(source)
        from edgebench.runtimes import torch_pt2_graph

        return torch_pt2_graph.load(model_file(source, ".pt2"), source.inputs)


def _save(onnx: ModuleType, model: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.save(model, path)
    except ValueError as error:  # protobuf's limit of 2 GB
        raise EdgebenchError(f"the model does not fit into one file: {error}", "a smaller model") from error


def _check(onnx: ModuleType, path: Path) -> None:
    """Check the file with onnx's own checker."""
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EdgebenchError(f"onnx's checker refuses the exported graph: {error}") from error


def _opset(model: onnx.ModelProto) -> str:
    return next(str(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
