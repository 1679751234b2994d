"""OpenVINO: IR, ONNX and TensorFlow Lite files on Intel's and Arm's devices, in the precision that was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from edgebench.runtimes import openvino_devices, openvino_refusals

from edgebench.artifact import check_inputs, model_file
from edgebench.errors import BadFile, EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.protocols import Run
from edgebench.specs import Artifact, Effective, Foreign, Layers, SessionOptions, TensorSpec

if TYPE_CHECKING:
    import openvino

# What layers that the file does not quantize compute in, by openvino.Type's names.
TYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
INFER = """import openvino

kind = {"fp16": "f16", "bf16": "bf16"}.get(SETTINGS["precision"], "f32")
hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": kind}
hints |= {"INFERENCE_NUM_THREADS": SETTINGS["threads"]} if SETTINGS["threads"] else {}
model = openvino.Core().read_model(HERE / SETTINGS["model"])
model.reshape([1, 3, SETTINGS["height"], SETTINGS["width"]])  # with an open batch it takes twice as long
session = openvino.Core().compile_model(model, "CPU", hints)
run = lambda pixels: session(pixels)[0]"""


class OpenVino:
    """Opens OpenVINO IR, and ONNX and TensorFlow Lite files directly."""

    accepts = frozenset({"openvino", "onnx", "tflite"})
    native = ("openvino",)
    adopts = ("openvino",)
    aliases = ("ov",)
    suffixes = {"openvino": ".xml", "onnx": ".onnx", "tflite": ".tflite"}
    installs = {"openvino": "edgebench[openvino]"}
    requirements = ("openvino>=2024.4",)
    libraries = ("openvino",)
    suits = ("x86_64", "AMD64")
    on, takes = tuple(openvino_devices.DEVICES), openvino_devices.OPTIONS
    infer_py = INFER

    def __init__(self) -> None:
        import openvino

        self._library = openvino

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        return openvino_devices.here(self._library.Core())

    def lacking(self) -> Mapping[str, tuple[str, str]]:
        return openvino_devices.lacking(self._library.Core())

    def signature(self, path: Path) -> Foreign:
        from edgebench.runtimes import openvino_signature

        return openvino_signature.read(path)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> OpenVinoSession:
        openvino, core = self._library, self._library.Core()
        refuse_unknown_options("OpenVINO", options.extra, openvino_devices.OPTIONS)
        device = openvino_devices.chosen(core, compute, options)
        if options.precision not in TYPES:
            raise Unsupported(
                f"OpenVINO has no precision hint for {options.precision}", f"an artifact in {', '.join(TYPES)}"
            )
        path = model_file(artifact, self.suffixes[artifact.format])
        kind = getattr(openvino.Type, TYPES[options.precision])
        settings = openvino_devices.settings(device, artifact, options, kind)
        try:
            model = core.read_model(str(path))
        except RuntimeError as error:
            if artifact.adopted:
                raise openvino_refusals.unsupported("read", error, artifact.format) from error
            raise BadFile(f"OpenVINO cannot read {path}: {error}", "export the artifact again") from error
        inputs, outputs = model.inputs, model.outputs
        if (len(inputs), len(outputs)) != (len(artifact.inputs), len(artifact.outputs)):
            told = f"{len(inputs)} inputs ({', '.join(map(repr, _names(inputs, ())))}) and {len(outputs)} outputs"
            raise BadFile(f"OpenVINO finds {told} in {path.name}", "another --runtime, or export it again")
        shapes = [[d.get_length() if d.is_static else "?" for d in one.partial_shape] for one in model.inputs]
        check_inputs(artifact, dict(zip(_names(model.inputs, artifact.inputs), shapes, strict=True)))
        return OpenVinoSession(core, model, settings, device, artifact, options)


class OpenVinoSession:
    """One request at a time, as `benchmark_app -hint latency -api sync`, on a model compiled for its batch size; with
    several streams that many at once, with the throughput hint.

    A model with an open batch runs at about half the speed on the CPU. So each batch size gets a compiled model of its
    own, the announced one when the session is opened.
    """

    def __init__(
        self, core: openvino.Core, model: openvino.Model, settings: dict, device: str,
        artifact: Artifact, options: SessionOptions,
    ) -> None:  # fmt: skip
        import openvino

        properties, self._tensor = openvino.properties, openvino.Tensor
        precision = properties.hint.inference_precision
        self._core, self._model, self._settings, self._device = core, model, settings, device
        specs = {spec.name: spec for spec in artifact.inputs}
        self._inputs = _names(model.inputs, artifact.inputs)
        self._shapes = [(specs[name].sizes, specs[name].shape) for name in self._inputs]
        self._names = [spec.name for spec in artifact.outputs]  # the order is the file's
        self._requests: dict[int, openvino.InferRequest] | None = {}
        self._batch, self._fixed = options.batch, artifact.adopted is not None
        self._format = artifact.format
        self._last: openvino.InferRequest | None = None
        self._compiled = compiled = self._compile(options.batch)
        effective = openvino_devices.told(compiled, precision)
        ran = openvino_devices.ran(compiled, device)
        if effective not in (None, settings[precision]):
            raise openvino_refusals.precision(options.precision, effective, artifact, ran)
        self.effective = Effective(
            provider=ran,
            precision=None if effective is None else options.precision,
            threads=openvino_devices.told(compiled, properties.inference_num_threads),
            version=openvino.__version__,
        )

    def _compile(self, batch: int) -> openvino.CompiledModel:
        try:
            sizes = [[batch, *shape[1:]] if fixed is None else list(fixed) for fixed, shape in self._shapes]
            self._model.reshape(dict(enumerate(sizes)))
            compiled = self._core.compile_model(self._model, self._device, self._settings)
        except RuntimeError as error:
            if self._fixed:
                raise openvino_refusals.unsupported("compile", error, self._format) from error
            message = f"OpenVINO cannot compile this model for batches of {batch}: {error}"
            raise EdgebenchError(message, "a --batch that the model takes") from error
        self._requests[batch] = compiled.create_infer_request()
        return compiled

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._requests is None:
            raise EdgebenchError("the OpenVINO session is closed")
        batch = self._batch if self._fixed else len(inputs[self._inputs[0]])
        if batch not in self._requests:
            self._compile(batch)
        self._last = self._requests[batch]
        return self._infer(self._last, inputs)

    def _infer(self, request: openvino.InferRequest, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # Not request.infer(inputs): its way through Python takes 60 µs more, and it computes on the calling thread,
        # which took six times as long with another program on a core. The request reads the caller's array where it
        # lies; the outputs are copied, since the request writes over them next time.
        arrays = [np.asarray(inputs[name], order="C") for name in self._inputs]  # a scalar stays one
        for i, array in enumerate(arrays):
            request.set_input_tensor(i, self._tensor(array, shared_memory=True))
        request.start_async()
        request.wait()
        return {name: request.get_output_tensor(i).data.copy() for i, name in enumerate(self._names)}

    def device_time_ns(self) -> int | None:
        return int(self._last.latency * 1e6)  # OpenVINO reports milliseconds

    def layers(self) -> Sequence[Layers]:
        from edgebench.runtimes import openvino_layers

        if self._device.startswith(openvino_devices.SHARED):
            return openvino_layers.shared(self._core.query_model(self._model, self._device), self.effective.precision)
        return openvino_layers.read(self._compiled.get_runtime_model(), self.effective.provider)

    def lanes(self, count: int) -> Sequence[Run]:
        return [partial(self._infer, self._compiled.create_infer_request()) for _ in range(count)]

    def close(self) -> None:
        self._requests = self._compiled = self._last = None

    def __enter__(self) -> OpenVinoSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _names(tensors: Sequence[openvino.Output], specs: Sequence[TensorSpec]) -> list[str]:
    """What the manifest calls the inputs, which may have several names here; without any, the order is the file's."""
    found: list[str] = []
    for i, tensor in enumerate(tensors):
        known = [spec.name for spec in specs if spec.name in tensor.names and spec.name not in found]
        placed = [spec.name for spec in specs[i : i + 1] if not tensor.names]
        found.append([*known, *placed, *sorted(tensor.names), ""][0])
    return found
