"""LiteRT (formerly TensorFlow Lite): .tflite files on the CPU, by XNNPACK where it takes the operators."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import check_inputs, model_file
from edgebench.errors import BadFile, EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.protocols import Run
from edgebench.specs import Artifact, Effective, Foreign, Layers, SessionOptions

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

DELEGATE, DELEGATED, OWN = "DELEGATE", "XNNPACK", "LiteRT"  # its node, who computes that, and who computes the others
# By the type of a node's first operand, as numpy names it.
PRECISIONS = {"float32": "fp32", "float16": "fp16", "int8": "int8", "uint8": "int8", "int16": "int8"}
NO_LAYERS = {DELEGATE, "DEQUANTIZE", "QUANTIZE", "CAST", "DENSIFY"}
OTHER_FILE = (
    "a newer ai-edge-litert, if the message names a version; convert it again without operators of its own (custom, "
    "Flex), which have to be compiled into the runtime"
)

INFER = """from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(str(HERE / SETTINGS["model"]), num_threads=SETTINGS["threads"] or 1)
interpreter.allocate_tensors()
enter, leave = (found()[0]["index"] for found in (interpreter.get_input_details, interpreter.get_output_details))


def run(pixels):
    interpreter.set_tensor(enter, pixels)
    interpreter.invoke()
    return interpreter.get_tensor(leave)"""


class LiteRt:
    """Opens TensorFlow Lite files: their first subgraph, with the sizes of the artifact."""

    accepts = frozenset({"tflite"})
    native = ("tflite",)
    adopts = ("tflite",)
    aliases = ("tflite", "tensorflow-lite")
    suffixes = {"tflite": ".tflite"}
    installs = {"ai_edge_litert": "edgebench[litert]"}
    requirements = ("ai-edge-litert>=2.1",)
    libraries = ("ai-edge-litert",)
    on, takes = ("cpu",), {}
    infer_py = INFER

    def __init__(self) -> None:
        import ai_edge_litert.interpreter

        self._library = ai_edge_litert

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        return ("cpu",)

    def signature(self, path: Path) -> Foreign:
        from edgebench.runtimes import litert_signature

        return litert_signature.read(path)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> LiteRtSession:
        refuse_unknown_options("LiteRT", options.extra)
        if compute != "cpu":
            raise Unsupported(f"LiteRT does not run on {compute!r} here", "--compute cpu")
        if artifact.precision != options.precision:
            raise Unsupported(
                f"LiteRT runs an {artifact.precision} file as {artifact.precision}, not as {options.precision}",
                f"a file in {options.precision}",
            )
        path = model_file(artifact, self.suffixes[artifact.format])
        return LiteRtSession(path, artifact, options, self.version())


class LiteRtSession:
    """An interpreter, which holds one request; another one for each lane."""

    def __init__(self, path: Path, artifact: Artifact, options: SessionOptions, version: str) -> None:
        self._path, self._artifact = path, artifact
        # Its own default is one thread. Requests in flight share the cores.
        self._threads = max(1, (options.threads or len(os.sched_getaffinity(0))) // options.streams)
        before = _tasks()
        self._interpreter: Interpreter | None = self._opened()
        workers = len(_tasks() - before)  # the caller computes too; no function of LiteRT tells this
        # Not get_input_details() and the like: they fail on names that are not UTF-8, of any tensor.
        wrapped = self._interpreter._interpreter
        self._inputs = list(zip(wrapped.InputIndices(), [spec.name for spec in artifact.inputs], strict=True))
        self._outputs = list(zip(wrapped.OutputIndices(), [spec.name for spec in artifact.outputs], strict=True))
        delegated = any(wrapped.NodeName(i) == DELEGATE for i in range(wrapped.NumNodes()))
        self.effective = Effective(
            provider=DELEGATED if delegated else OWN,
            precision=None,  # XNNPACK may compute in fp16 on Arm if the file allows it, and does not tell
            threads=(workers + 1) * options.streams,
            version=version,
        )

    def _opened(self) -> Interpreter:
        """The interpreter, ready for the sizes of the artifact's inputs."""
        from ai_edge_litert.interpreter import Interpreter

        name, specs, fix = self._path.name, self._artifact.inputs, OTHER_FILE
        try:
            interpreter = Interpreter(str(self._path), num_threads=self._threads)
            found = interpreter._interpreter.InputIndices()  # in the file's order, as the artifact has them
            if len(found) != len(specs):
                raise BadFile(f"LiteRT finds {len(found)} inputs in {name}", "adopt the file again")
            sizes = [interpreter._interpreter.TensorSizeSignature(i, 0) for i in found]
            shapes = [["?" if size < 0 else int(size) for size in shape] for shape in sizes]
            check_inputs(self._artifact, {spec.name: shape for spec, shape in zip(specs, shapes, strict=True)})
            for index, spec, shape in zip(found, specs, shapes, strict=True):
                if "?" in shape:
                    fix = f"other sizes: --shape {spec.name}=…; else {OTHER_FILE}"
                    interpreter.resize_tensor_input(index, spec.sizes, strict=True)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise BadFile(f"LiteRT cannot open {name}: {error}", fix) from error
        return interpreter

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._interpreter is None:
            raise EdgebenchError("the LiteRT session is closed")
        return self._infer(self._interpreter, inputs)

    def _infer(self, interpreter: Interpreter, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            for index, name in self._inputs:
                interpreter.set_tensor(index, inputs[name])
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise EdgebenchError(f"LiteRT refused the request: {error}", "inputs that the model takes") from error
        return {name: interpreter.get_tensor(index) for index, name in self._outputs}  # copies

    def lanes(self, count: int) -> Sequence[Run]:
        return [partial(self._infer, self._opened()) for _ in range(count)]

    def layers(self) -> Sequence[Layers]:
        """The nodes that XNNPACK took are all those that the way from the outputs to the inputs does not meet."""
        wrapped = self._interpreter._interpreter
        nodes = range(wrapped.NumNodes())
        makes = {int(tensor): i for i in nodes for tensor in wrapped.NodeOutputs(i)}  # the delegate's node is the last
        met, left = set(), [index for index, _ in self._outputs]
        while left:
            node = makes.get(left.pop())
            if node is not None and node not in met:
                met.add(node)
                left += map(int, wrapped.NodeInputs(node))
        found = Counter()
        for i in nodes:
            if wrapped.NodeName(i) not in NO_LAYERS and len(wrapped.NodeOutputs(i)):  # else it writes a state
                first = next((t for t in wrapped.NodeInputs(i) if t >= 0), None)
                kind = "" if first is None else np.dtype(wrapped.TensorType(first, 0)).name
                found[PRECISIONS.get(kind), OWN if i in met else self.effective.provider] += 1
        return [Layers(precision, provider, count) for (precision, provider), count in found.most_common()]

    def device_time_ns(self) -> int | None:
        return None

    def close(self) -> None:
        self._interpreter = None

    def __enter__(self) -> LiteRtSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _tasks() -> set[str]:
    """This process's threads."""
    return set(os.listdir("/proc/self/task"))
