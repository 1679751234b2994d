"""A model opened in ONNX Runtime, for its runtime. Needs onnxruntime."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.protocols import Run
from edgebench.specs import Effective, Layers, SessionOptions

# By the type of a node's first input, as profiles write it.
PRECISIONS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
NO_LAYERS = {"QuantizeLinear", "DequantizeLinear", "Cast", "ReorderInput", "ReorderOutput"}


def _zeros(tensor: onnxruntime.NodeArg) -> np.ndarray:
    shape = [size if isinstance(size, int) else 1 for size in tensor.shape]
    return np.zeros(shape, np.uint8 if "uint8" in tensor.type else np.float32)


class OnnxRuntimeSession:
    """An InferenceSession; with CUDA the copies to and from the GPU are part of `run`, as in ONNX Runtime itself."""

    def __init__(self, session: onnxruntime.InferenceSession, wanted: str, options: SessionOptions, path: Path) -> None:
        provider = session.get_providers()[0]
        if provider != wanted:  # a CUDA provider whose libraries are missing is dropped with a mere warning
            raise Unsupported(
                f"ONNX Runtime fell back to {provider}: its {wanted} did not load",
                "install the CUDA and cuDNN versions that this onnxruntime-gpu was built for, or --compute cpu",
            )
        self._session: onnxruntime.InferenceSession | None = session
        self._path = path
        self._names = [output.name for output in session.get_outputs()]
        threads = session.get_session_options().intra_op_num_threads
        self.effective = Effective(
            provider=provider,
            precision=options.precision,
            # 0: its own choice, which it does not tell
            threads=(threads * options.streams or None) if wanted == "CPUExecutionProvider" else None,
            version=onnxruntime.__version__,
        )

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._session is None:
            raise EdgebenchError("the ONNX Runtime session is closed")
        try:
            outputs = self._session.run(None, inputs)
        except Exception as error:  # of a dozen unrelated kinds, here too
            raise EdgebenchError(
                f"ONNX Runtime refused the request: {error}", "a --batch that the model takes"
            ) from error
        return dict(zip(self._names, outputs, strict=True))

    def layers(self) -> Sequence[Layers]:
        """From the profile of a run, which alone tells what the optimised graph computes in, and where."""
        settings = self._session.get_session_options()
        settings.enable_profiling = True
        with tempfile.TemporaryDirectory() as folder:
            settings.profile_file_prefix = str(Path(folder, "profile"))
            profiled = onnxruntime.InferenceSession(str(self._path), settings, providers=self._session.get_providers())
            zeros = {i.name: _zeros(i) for i in profiled.get_inputs()}
            profiled.run(None, zeros)
            events = json.loads(Path(profiled.end_profiling()).read_text())
        found = Counter()
        for event in events:
            told = event.get("args", {})
            if event.get("cat") != "Node" or not event["name"].endswith("_kernel_time") or told["op_name"] in NO_LAYERS:
                continue
            (kind,) = [*(told["input_type_shape"] or told["output_type_shape"])[0]] or [""]
            found[PRECISIONS.get(kind), told["provider"]] += 1
        return [Layers(precision, provider, count) for (precision, provider), count in found.most_common()]

    def lanes(self, count: int) -> Sequence[Run]:
        return [self.run] * count  # InferenceSession.run may be called by several threads

    def device_time_ns(self) -> int | None:
        return None

    def close(self) -> None:
        self._session = None

    def __enter__(self) -> OnnxRuntimeSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
