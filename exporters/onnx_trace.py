"""Checkpoint → ONNX in fp32, simplified; for the ONNX exporter. Needs torch, onnx and onnxsim."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import onnx
import onnxsim
import torch

from edgebench.errors import EdgebenchError
from edgebench.specs import Artifact
from edgebench.training import models

# They make Reshape → Gemm → Reshape of MatMul → Add. ONNX Runtime has kernels in int8 for MatMul alone where the result
# stays in floating point, and computes such a Gemm in fp32: DeiT-S in int8 then took 1.6 × the time of fp32, not 0.5 ×.
KEEP_MATMUL = ["fuse_matmul_add_bias_into_gemm", "fuse_matmul_add_bias_into_gemm_batched"]
# LayerNormalization is one operator from 17 on, and JetPack 6's TensorRT 10.3 reads it.
OPSET = 17


def exported(source: Artifact, path: Path) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The graph of a checkpoint's network, and the tools that made it.

    Through TorchScript, which is three to ten times faster than torch.export and gave the same graphs on every backbone
    we tried; a network that cannot be traced goes through torch.export.
    """
    model = models.restore(source)
    # Batch 2, since an exporter may take a batch of one for a constant.
    example = torch.zeros(2, *source.inputs[0].shape[1:])
    try:
        _trace(model, example, source, path)
    except (torch.onnx.errors.OnnxExporterError, torch.jit.TracingCheckError, RuntimeError) as error:
        _export(model, example, source, path, error)
    simplified = _simplified(path)
    return simplified, {"onnx": onnx.__version__, "onnxsim": onnxsim.__version__, "opset": _opset(simplified)}


def _trace(model: torch.nn.Module, example: torch.Tensor, source: Artifact, path: Path) -> None:
    names = [source.inputs[0].name, source.outputs[0].name]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # tracer warnings: what they warn of, the comparison at another batch size finds
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {0: "batch"} for name in names},
            opset_version=OPSET,
            dynamo=False,
        )


def _export(model: torch.nn.Module, example: torch.Tensor, source: Artifact, path: Path, cause: Exception) -> None:
    try:
        with _quiet():
            torch.onnx.export(
                model,
                (example,),
                str(path),
                input_names=[source.inputs[0].name],
                output_names=[source.outputs[0].name],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                dynamo=True,
            )
    except Exception as error:  # torch.export raises its own, private kinds
        raise EdgebenchError(
            f"torch cannot export {source.model.name}, neither by tracing ({cause}) nor by torch.export: {error}",
            "another backbone, or a newer torch and onnxscript",
        ) from error


def _simplified(path: Path) -> onnx.ModelProto:
    """Constants folded, and what does nothing dropped."""
    simplified, same = onnxsim.simplify(onnx.load(path), skipped_optimizers=KEEP_MATMUL)
    if not same:
        raise EdgebenchError(
            f"onnxsim changed the answers of {path.name}", "report it to onnxsim with the model's name"
        )
    return simplified


def _opset(model: onnx.ModelProto) -> str:
    return next(str(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


@contextlib.contextmanager
def _quiet():
    """torch.export tells its progress on stdout and its doubts in the log; stdout belongs to the caller's --json."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
