"""ONNX Runtime: one of its execution providers, never a silent fallback."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from edgebench.runtimes import onnxruntime_providers, onnxruntime_settings
from edgebench.runtimes.onnxruntime_providers import PROVIDERS, Chosen

from edgebench.artifact import check_inputs, model_file, requests
from edgebench.errors import BadFile, EdgebenchError, Unsupported
from edgebench.protocols import Run
from edgebench.records import replacing
from edgebench.specs import Artifact, Effective, Foreign, Layers, SessionOptions

if TYPE_CHECKING:
    import onnxruntime

COMPUTES = ("cuda", "cpu")  # each has a provider of its name; others run where one is named
# By the type of a node's first input, as profiles name it.
PRECISIONS = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16", "int8": "int8", "uint8": "int8"}
NO_LAYERS = {"QuantizeLinear", "DequantizeLinear", "Cast", "ReorderInput", "ReorderOutput"}
INFER = """import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = SETTINGS["threads"] or 0
session = onnxruntime.InferenceSession(HERE / SETTINGS["model"], options, providers=["CPUExecutionProvider"])
run = lambda pixels: session.run(None, {SETTINGS["input"]: pixels})[0]"""


class OnnxRuntime:
    """Opens ONNX artifacts."""

    accepts = frozenset({"onnx"})
    native = ("onnx",)
    adopts = ("onnx",)
    aliases = ("ort",)
    suffixes = {"onnx": ".onnx"}
    installs = {"onnxruntime": "edgebench[onnx]"}
    requirements = ("onnxruntime>=1.17",)
    libraries = ("onnxruntime", "onnxruntime-gpu")  # two distributions of the same module
    suits = ("any",)
    tunes = {"spinning": ("off",), "optimization": ("extended",)}
    on, takes = ("cpu", "cuda", "gpu", "npu"), onnxruntime_providers.OPTIONS
    infer_py = INFER

    def __init__(self) -> None:
        import onnxruntime

        self._library = onnxruntime

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        available = self._library.get_available_providers()
        return tuple(compute for compute in COMPUTES if PROVIDERS[compute].full in available)

    def lacking(self) -> Mapping[str, tuple[str, str]]:
        return onnxruntime_providers.lacking(self._library)

    def signature(self, path: Path) -> Foreign:
        from edgebench.runtimes import onnxruntime_signature

        return onnxruntime_signature.read(path)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> OnnxRuntimeSession:
        onnxruntime = self._library
        chosen = onnxruntime_providers.chosen(onnxruntime, compute, options)
        if artifact.precision != options.precision:
            raise Unsupported(
                f"ONNX Runtime runs an {artifact.precision} file as {artifact.precision}, not as {options.precision}",
                f"export at {options.precision}",
            )
        path = model_file(artifact, self.suffixes[artifact.format])
        if options.precision == "int8":
            chosen.provider.refuse(path)
        opened = partial(chosen.opened, onnxruntime, str(path))
        settings = onnxruntime_settings.settings(onnxruntime, chosen.name, options)
        try:
            session = opened(settings)
        except Exception as error:  # onnxruntime raises a dozen unrelated kinds for a file that it cannot read
            from edgebench.runtimes import onnxruntime_refusals

            why, fix = onnxruntime_refusals.explained(str(error))
            raise BadFile(f"ONNX Runtime {self.version()} cannot open {path}: {why}", fix) from error
        check_inputs(artifact, {one.name: one.shape for one in session.get_inputs()})
        return OnnxRuntimeSession(session, chosen, opened, options, artifact)


class OnnxRuntimeSession:
    """An InferenceSession; with CUDA the copies to and from the GPU are part of `run`, as in ONNX Runtime itself."""

    def __init__(
        self, session: onnxruntime.InferenceSession, chosen: Chosen,
        opened: Callable[[onnxruntime.SessionOptions], onnxruntime.InferenceSession], options: SessionOptions,
        artifact: Artifact,
    ) -> None:  # fmt: skip
        import onnxruntime

        provider, wanted = session.get_providers()[0], chosen.provider.full
        if provider != wanted:  # a CUDA provider whose libraries are missing is dropped with a mere warning
            raise Unsupported(
                f"ONNX Runtime fell back to {provider}: its {wanted} did not load",
                chosen.provider.fix,
            )
        self._session: onnxruntime.InferenceSession | None = session
        self._opened, self._artifact, self._options = opened, artifact, options
        self._settings = partial(onnxruntime_settings.settings, onnxruntime, chosen.name, options)
        self._names = [output.name for output in session.get_outputs()]
        threads = session.get_session_options().intra_op_num_threads
        self.effective = Effective(
            provider=provider,
            precision=options.precision if chosen.name in COMPUTES else None,  # the others do not tell
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
        settings = self._settings()
        settings.enable_profiling = True
        with replacing.scratch() as folder:
            settings.profile_file_prefix = str(Path(folder, "profile"))
            profiled = self._opened(settings)
            profiled.run(None, requests(self._artifact, self._options.batch)[0])
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
