"""ONNX → OpenVINO IR: weights in fp32, fp16 or int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import model_file
from edgebench.errors import EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.exporting import quantize
from edgebench.specs import Artifact, Exported, ExportOptions, Precision, TensorSpec

if TYPE_CHECKING:
    import openvino

CAPABILITIES = "OPTIMIZATION_CAPABILITIES"
HALVES = {"bf16": "BF16", "fp16": "FP16"}


class OpenVinoExporter:
    """Converts the ONNX artifact with OpenVINO's own converter."""

    # bf16 is how the CPU computes, not what the file holds.
    accepts = dict.fromkeys(("fp32", "fp16", "bf16", "int8"), ("onnx", "fp32"))
    also = {"onnx": "openvino"}
    bakes_input = True
    produces = "openvino"
    verify_with = "openvino"
    verify_on = "cpu"
    aliases = ("ov",)
    installs = {"openvino": "edgebench[openvino]"}
    libraries = ("openvino",)
    libraries_for = {"int8": ("nncf",)}

    def __init__(self) -> None:
        import openvino  # noqa: F401

    def check(self, precision: Precision) -> None:
        import openvino

        quantize.check(precision)
        # Asked for another float, the CPU computes in f32 without a word, and the artifact cannot be verified here.
        if precision in HALVES and HALVES[precision] not in openvino.Core().get_property("CPU", CAPABILITIES):
            raise Unsupported(
                f"this CPU does not run {precision} in OpenVINO", "export it on one that does, or --precision fp32"
            )

    def export(self, source: Artifact, out: Path, options: ExportOptions) -> Exported:
        import openvino

        refuse_unknown_options("the OpenVINO exporter", options.extra)
        tools, inputs, in_float = {"openvino": openvino.__version__}, source.inputs, ()
        if source.format == "openvino":
            model = openvino.Core().read_model(model_file(source, ".xml"))
        else:
            model = _converted(source)
        if len(model.outputs) != len(source.outputs):  # they are known by their places: names may get lost
            raise Unsupported(
                f"OpenVINO makes {len(model.outputs)} outputs of the model's {len(source.outputs)}",
                "`edgebench run` on the ONNX file itself, or another --target",
            )
        if options.input != source.input_type:
            model, inputs = _take_pixels(model, source)
        if options.precision == "int8" != source.precision:
            import nncf

            tools["nncf"] = nncf.__version__
            # Attention has a softmax before a matrix product; a convolutional network may end with one.
            shares = [node for node in model.get_ops() if node.get_type_name() == "Softmax"]
            after = [target.get_node() for node in shares for target in node.output(0).get_target_inputs()]
            transformer = any(node.get_type_name() == "MatMul" for node in after)
            model, in_float = quantize.quantize(model, source, options, transformer=transformer, opened=_opened)
            if source.adopted:
                quantize.check_done(source, [node.get_type_name() for node in model.get_ops()])
        # compress_to_fp16 is on by default and would quietly change the weights of a model that is called fp32.
        openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=options.precision == "fp16")
        return Exported(
            files=("model.xml", "model.bin"),
            inputs=inputs,
            outputs=source.outputs,
            tools=tools,
            precision=options.precision,
            in_float=in_float,
        )


def _converted(source: Artifact) -> openvino.Model:
    import openvino

    path = str(model_file(source, ".onnx"))
    try:
        return openvino.convert_model(path)
    except Exception as error:  # OpenVINO's frontends raise many kinds
        said, fix = str(error), "try a newer openvino"
        if source.adopted:
            said = [line for line in said.splitlines() if line.strip()][-1].strip()  # after a page of what led to it
            fix = f"measure the file as it is: `edgebench run {source.path} --runtime onnxruntime`; or {fix}"
        raise EdgebenchError(f"OpenVINO cannot convert the ONNX file: {said}", fix) from error


def _take_pixels(model: openvino.Model, source: Artifact) -> tuple[openvino.Model, tuple[TensorSpec]]:
    """The model with an input of uint8 (batch, h, w, 3), normalised within the graph, and that input."""
    import openvino
    from openvino.preprocess import PrePostProcessor

    spec, old = source.preprocessing, source.inputs[0]
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    mean, scale = [255 * v for v in spec.mean], [255 * v for v in spec.std]
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(mean).scale(scale)
    return steps.build(), (TensorSpec(old.name, "uint8", (old.shape[0], spec.height, spec.width, 3)),)


def _opened(model: openvino.CompiledModel) -> Callable[[np.ndarray], np.ndarray]:
    return lambda inputs: model(inputs)[0]
