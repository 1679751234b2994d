"""A plug-in's exporter: the ONNX file, backwards, so that nothing but the plug-in's runtime reads it."""

from __future__ import annotations

from pathlib import Path

from edgebench.artifact import model_file
from edgebench.specs import Artifact, Exported, ExportOptions


class RobotExporter:
    accepts = {"fp32": ("onnx", "fp32")}
    bakes_input = False
    produces = "robot"
    verify_with = "robot"
    verify_on = "cpu"
    libraries = ("robotlib",)

    def check(self, precision: str) -> None:
        """Nothing more is needed."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        (out / "model.robot").write_bytes(model_file(source, ".onnx").read_bytes()[::-1])
        return Exported(files=("model.robot",), inputs=source.inputs, outputs=source.outputs, tools={"robotlib": "?"})
