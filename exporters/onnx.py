"""Checkpoint → ONNX: dynamic batch, simplified, checked."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import onnx
import onnxsim
import torch

from edgebench import models
from edgebench.errors import EdgebenchError, refuse_unknown_options
from edgebench.specs import Artifact, Exported, ExportOptions

# LayerNormalization is one operator from 17 on, and JetPack 6's TensorRT 10.3 reads it.
OPSET = 17
FILE = "model.onnx"


class OnnxExporter:
    """Exports through TorchScript, which is three to ten times faster than torch.export and gave the same graphs on
    every backbone we tried; a network that cannot be traced goes through torch.export."""

    accepts = "checkpoint"
    produces = "onnx"
    verify_with = "onnxruntime"
    verify_on = "cpu"

    def check(self) -> None:
        """Nothing beyond the imports above is needed."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        refuse_unknown_options("the ONNX exporter", options.extra)
        model = models.restore(source)
        # Batch 2, since an exporter may take a batch of one for a constant.
        example = torch.zeros(2, *source.inputs[0].shape[1:])
        path = out / FILE
        try:
            _trace(model, example, source, path)
        except (torch.onnx.errors.OnnxExporterError, torch.jit.TracingCheckError, RuntimeError) as error:
            _export(model, example, source, path, error)
        _simplify(path)
        return Exported(
            files=(FILE,),
            inputs=source.inputs,
            outputs=source.outputs,
            tools={"onnx": onnx.__version__, "onnxsim": onnxsim.__version__, "opset": str(_opset(path))},
        )


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


def _simplify(path: Path) -> None:
    """Fold constants and drop what does nothing, then let onnx's own checker judge the file that is left."""
    simplified, same = onnxsim.simplify(onnx.load(path))
    if not same:
        raise EdgebenchError(
            f"onnxsim changed the answers of {path.name}", "report it to onnxsim with the model's name"
        )
    onnx.save(simplified, path)
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EdgebenchError(f"onnx's checker refuses the exported graph: {error}") from error


def _opset(path: Path) -> int:
    opsets = onnx.load(path, load_external_data=False).opset_import
    return next(entry.version for entry in opsets if entry.domain in ("", "ai.onnx"))


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
