"""ONNX → OpenVINO IR, weights kept in fp32."""

from __future__ import annotations

from pathlib import Path

import openvino

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, refuse_unknown_options
from edgebench.specs import Artifact, Exported, ExportOptions


class OpenVinoExporter:
    """Converts the ONNX artifact with OpenVINO's own converter."""

    accepts = "onnx"
    produces = "openvino"
    verify_with = "openvino"
    verify_on = "cpu"

    def check(self) -> None:
        """Nothing beyond the import above is needed."""

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        refuse_unknown_options("the OpenVINO exporter", options.extra)
        try:
            model = openvino.convert_model(str(model_file(source, ".onnx")))
        except Exception as error:  # OpenVINO's frontends raise many kinds
            raise EdgebenchError(f"OpenVINO cannot convert the ONNX file: {error}", "try a newer openvino") from error
        # compress_to_fp16 is on by default and would quietly change the weights of a model that is called fp32.
        openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)
        return Exported(
            files=("model.xml", "model.bin"),
            inputs=source.inputs,
            outputs=source.outputs,
            tools={"openvino": openvino.__version__},
        )
