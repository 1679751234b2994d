"""Checkpoint → .tflite by litert-torch, then fp16 weights or int8 by its quantizer: one picture a request."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, Unsupported, UsageError, refuse_unknown_options
from edgebench.exporting import quantize
from edgebench.machine.children import Child
from edgebench.records import replacing
from edgebench.specs import Artifact, Exported, ExportOptions, Precision

LIMIT_S, FILE = 3600.0, "model.tflite"
WORK = "edgebench.exporters.litert_work"
CONVERTER, QUANTIZER = "litert_torch", "ai_edge_quantizer"


class LiteRtExporter:
    """Lets Google's converter and quantizer work in a process of their own: they load jax and half a gigabyte."""

    accepts = {"fp32": ("checkpoint", "fp32"), "fp16": ("tflite", "fp32"), "int8": ("tflite", "fp32")}
    bakes_input = False
    inputs = ("float32",)
    produces = "tflite"
    verify_with = "litert"
    verify_on = "cpu"
    aliases = ("litert",)
    installs = dict.fromkeys((CONVERTER, QUANTIZER), ".[litert-export]")
    install_note = (
        "in the folder of edgebench's source, with an environment of its own: it brings 1.1 GB and older versions of "
        "common libraries"
    )
    libraries = ("torch", "timm", "litert-torch", "litert-converter")
    libraries_for = dict.fromkeys(("fp16", "int8"), ("ai-edge-quantizer",))

    def __init__(self) -> None:
        for module in (CONVERTER, QUANTIZER):
            if importlib.util.find_spec(module) is None:  # importing it takes seconds, and the work is done elsewhere
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    def check(self, precision: Precision) -> None:
        """Nothing beyond the libraries is needed."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        refuse_unknown_options("the LiteRT exporter", options.extra)
        # Before the work, which may take an hour: one that is missing is told at once.
        tools = {name: metadata.version(name) for name in (*self.libraries, *self.libraries_for["int8"])}
        with replacing.scratch() as scratch:
            if source.format == "checkpoint":
                work = ["convert", str(source.path)]
            else:
                work = [options.precision, str(model_file(source, ".tflite")), self._requests(source, options, scratch)]
            ending = Child([sys.executable, "-m", WORK, *work, str(out / FILE)]).wait(time_limit_s=LIMIT_S)
        if ending.exit_code != 0 or not (out / FILE).is_file():
            raise EdgebenchError(
                f"LiteRT's tools cannot make {options.precision} of {source.path.name}: the process {ending.how} "
                f"({ending.last_line})",
                "another --target: the network may have an operator that they do not know",
            )
        from edgebench.runtimes import litert_signature

        told = litert_signature.read(out / FILE)
        return Exported(
            files=(FILE,),
            inputs=tuple(replace(spec, name=found.name, shape=(1, *spec.shape[1:]))
                         for spec, found in zip(source.inputs, told.inputs, strict=True)),
            outputs=tuple(replace(spec, shape=(1, *spec.shape[1:])) for spec in source.outputs),
            tools=tools, precision=options.precision,
        )  # fmt: skip

    def _requests(self, source: Artifact, options: ExportOptions, scratch: Path) -> str:
        """The file with the pictures that the ranges of int8 come from; empty for fp16, which needs none."""
        if options.precision != "int8":
            return ""
        if options.accuracy_drop is not None:
            raise Unsupported(
                "LiteRT's quantizer does not bound what accuracy int8 costs", "--precision int8 without --accuracy-drop"
            )
        if options.calibration is None:
            raise UsageError(
                "int8 needs calibration images", "export from the checkpoint, on a machine with its dataset"
            )
        path = Path(scratch, "requests.npy")
        np.save(path, np.concatenate([*map(_only, quantize.requests(source, options))]))
        return str(path)


def _only(request: dict[str, np.ndarray]) -> np.ndarray:
    (array,) = request.values()
    return array
