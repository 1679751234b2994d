"""Writes a network of torch's as ONNX: by tracing, else through torch.export; for the ONNX exporter."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch

from edgebench.artifact import read_examples
from edgebench.errors import EdgebenchError
from edgebench.specs import Artifact
from edgebench.training import models

# LayerNormalization is one operator from 17 on, and JetPack 6's TensorRT 10.3 reads it.
OPSET = 17


def open_batch(source: Artifact) -> bool:
    """Whether the graph takes any batch: of images, to a checkpoint. Else it has the sizes that it was adopted with."""
    return source.format == "checkpoint" and len(source.inputs) == 1 and source.inputs[0].shape[:1] == ("batch",)


class _Flat(torch.nn.Module):
    """A network that returns a tuple of its outputs, in whatever containers it has them."""

    def __init__(self, network: torch.nn.Module, source: Artifact) -> None:
        super().__init__()
        self.network, self._single = network, source.outputs[0].name

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(models.named_outputs(self.network(*inputs), self._single).values())


def write(model: torch.nn.Module, source: Artifact, path: Path) -> None:
    """Write the network of `source` into the file. Raises EdgebenchError if torch can export it in neither way."""
    if open_batch(source):
        # Batch 2, since an exporter may treat a batch of one as a constant.
        examples: tuple[torch.Tensor, ...] = (torch.zeros(2, *source.inputs[0].shape[1:]),)
    else:
        request = read_examples(source).requests[0]
        examples = tuple(torch.from_numpy(request[spec.name]) for spec in source.inputs)
    if source.adopted:
        model = _Flat(model, source)
    try:
        _trace(model, examples, source, path)
    except (torch.onnx.errors.OnnxExporterError, torch.jit.TracingCheckError, RuntimeError) as error:
        _export(model, examples, source, path, error)


def _trace(model: torch.nn.Module, examples: tuple[torch.Tensor, ...], source: Artifact, path: Path) -> None:
    dynamic = [spec.name for spec in (*source.inputs, *source.outputs) if spec.shape[:1] == ("batch",)]
    with warnings.catch_warnings():
        # The comparison at another batch size finds what the tracer warns of.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            examples,
            str(path),
            input_names=[spec.name for spec in source.inputs],
            output_names=[spec.name for spec in source.outputs],
            dynamic_axes={name: {0: "batch"} for name in dynamic} if open_batch(source) else None,
            opset_version=OPSET,
            dynamo=False,
        )


def _export(
    model: torch.nn.Module, examples: tuple[torch.Tensor, ...], source: Artifact, path: Path,
    cause: Exception,
) -> None:  # fmt: skip
    try:
        with _quiet():
            torch.onnx.export(
                model,
                examples,
                str(path),
                input_names=[spec.name for spec in source.inputs],
                output_names=[spec.name for spec in source.outputs],
                dynamic_shapes=({0: torch.export.Dim("batch")},) if open_batch(source) else None,
                external_data=False,
                dynamo=True,
            )
    except Exception as error:  # torch.export raises its own, private kinds
        raise EdgebenchError(
            f"torch cannot export {source.model.name}, neither by tracing ({cause}) nor by torch.export: {error}",
            "another backbone, or a newer torch and onnxscript",
        ) from error


@contextlib.contextmanager
def _quiet():
    """torch.export prints its progress to stdout and its doubts to the log; stdout belongs to the caller's --json."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
