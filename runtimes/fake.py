"""A runtime with scripted latency: to test the harness and its statistics. Never a fallback, never called measured."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np

from edgebench import artifact as folder
from edgebench.errors import EdgebenchError, UsageError, refuse_unknown_options
from edgebench.protocols import Run
from edgebench.specs import Artifact, Effective, Layers, SessionOptions

REMEMBERED = 32  # input arrays; a measurement has eight in rotation


class Fake:
    """Opens an artifact of any format and answers from its reference file.

    `--runtime-option latency_ms=2,2,9` scripts the time of each inference, repeating; the default is 1 ms.
    """

    accepts = frozenset({"checkpoint", "onnx", "openvino", "tensorrt"})
    only_by_name = True
    requirements = ()
    on, takes = ("cpu", "cuda"), {"latency_ms": ()}

    def version(self) -> str:
        return "1"

    def computes(self) -> tuple[str, ...]:
        return ("cpu", "cuda")

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> FakeSession:
        if compute not in self.computes():
            raise UsageError(f"the fake runtime does not run on {compute!r}", "--compute cpu")
        refuse_unknown_options("the fake runtime", options.extra, ["latency_ms"])
        script = options.extra.get("latency_ms", "1")
        try:
            latencies_s = [float(item) / 1e3 for item in script.split(",")]
        except ValueError:
            latencies_s = [-1.0]
        if not all(0 <= latency < 3600 for latency in latencies_s):
            raise UsageError(
                f"latency_ms={script!r} is no list of milliseconds", "write latency_ms=2 or latency_ms=2,2,9"
            )
        return FakeSession(artifact, latencies_s, options)


class FakeSession:
    """Knows the answer to each reference image, and waits for the scripted time before giving it."""

    def __init__(self, artifact: Artifact, latencies_s: list[float], options: SessionOptions) -> None:
        if artifact.adopted:
            raise UsageError(
                "the fake runtime answers with logits, which an adopted model has not", "another --runtime"
            )
        reference = folder.read_reference(artifact)
        inputs = folder.prepared(reference.images, artifact)
        self._answers = {image.tobytes(): logits for image, logits in zip(inputs, reference.logits, strict=True)}
        self._unknown = np.zeros_like(reference.logits[0])
        self._input, self._output = artifact.inputs[0], artifact.outputs[0].name
        self._name = self._input.name
        self._seen: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._latencies_s = itertools.cycle(latencies_s)
        self._open = True
        self.effective = Effective(
            provider="fake", precision=options.precision, threads=options.threads or 1, version="1", evidence="scripted"
        )

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = inputs[self._name]
        if not self._open:
            raise EdgebenchError("the fake session is closed")
        _, answer = self._seen.get(id(images)) or self._look_up(images)
        if latency_s := next(self._latencies_s):
            time.sleep(latency_s)
        return {self._output: answer}

    def _look_up(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The answer to an array not seen before, remembered by the array's id: reading its pixels each time would cost
        more than the loop that this runtime tests. The array is kept, so that no other can get its id."""
        if images.dtype != np.float32 or images.shape[1:] != self._input.shape[1:]:
            raise EdgebenchError(f"the input {images.dtype}{images.shape} is not {self._input.shape}")
        answer = np.stack([self._answers.get(image.tobytes(), self._unknown) for image in images])
        answer.flags.writeable = False  # the same answer is returned again
        if len(self._seen) == REMEMBERED:
            self._seen.clear()
        self._seen[id(images)] = images, answer
        return images, answer

    def lanes(self, count: int) -> Sequence[Run]:
        return []

    def layers(self) -> Sequence[Layers]:
        return []

    def device_time_ns(self) -> int | None:
        return None

    def close(self) -> None:
        self._open = False

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
