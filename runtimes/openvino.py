"""OpenVINO: IR and ONNX files on the CPU, in the precision that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.artifact import check_inputs, model_file
from edgebench.errors import BadFile, Unsupported, refuse_unknown_options
from edgebench.specs import Artifact, SessionOptions

if TYPE_CHECKING:
    from edgebench.runtimes.openvino_session import OpenVinoSession

# What the layers compute in that the file does not quantize, as openvino.Type names it.
TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
DEVICES = {"cpu": "CPU"}
INFER = """import openvino

hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
hints |= {"INFERENCE_NUM_THREADS": SETTINGS["threads"]} if SETTINGS["threads"] else {}
model = openvino.Core().read_model(HERE / SETTINGS["model"])
model.reshape([1, 3, SETTINGS["height"], SETTINGS["width"]])  # with an open batch it takes twice as long
session = openvino.Core().compile_model(model, "CPU", hints)
run = lambda pixels: session(pixels)[0]"""


class OpenVino:
    """Opens OpenVINO IR, and ONNX files directly."""

    accepts = frozenset({"openvino", "onnx"})
    native = ("openvino",)
    aliases = ("ov",)
    suffixes = {"openvino": ".xml", "onnx": ".onnx"}
    installs = {"openvino": "edgebench[openvino]"}
    requirements = ("openvino>=2024.4",)
    libraries = ("openvino",)
    suits = ("x86_64", "AMD64")
    infer_py = INFER

    def __init__(self) -> None:
        import openvino

        self._library = openvino

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        available = self._library.Core().available_devices
        return tuple(compute for compute, plugin in DEVICES.items() if plugin in available)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> OpenVinoSession:
        from edgebench.runtimes.openvino_session import OpenVinoSession

        openvino, properties = self._library, self._library.properties
        hint = properties.hint
        refuse_unknown_options("OpenVINO", options.extra)
        if compute not in DEVICES:
            raise Unsupported(f"OpenVINO does not run on {compute!r} here", f"--compute {' or '.join(DEVICES)}")
        if options.precision not in TYPES:
            raise Unsupported(
                f"OpenVINO has no precision hint for {options.precision}", f"an artifact in {', '.join(TYPES)}"
            )
        path = model_file(artifact, self.suffixes[artifact.format])
        mode = hint.PerformanceMode.LATENCY if options.streams == 1 else hint.PerformanceMode.THROUGHPUT
        settings = {
            hint.performance_mode: mode,
            # On CPUs with AVX512-BF16 or AMX it would run fp32 models in bf16 unless told otherwise.
            hint.inference_precision: getattr(openvino.Type, TYPES[options.precision]),
        }
        if options.threads:
            settings[properties.inference_num_threads] = options.threads
        if options.streams > 1:
            settings[properties.streams.num] = options.streams
        core = openvino.Core()
        try:
            model = core.read_model(str(path))
        except RuntimeError as error:
            raise BadFile(f"OpenVINO cannot read {path}: {error}", "export the artifact anew") from error
        shapes = {
            one.any_name: [d.get_length() if d.is_static else "?" for d in one.partial_shape] for one in model.inputs
        }
        check_inputs(artifact, shapes)
        return OpenVinoSession(core, model, settings, DEVICES[compute], artifact, options)
