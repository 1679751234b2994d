"""ONNX Runtime: the CPU and CUDA execution providers, never a silent fallback."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import check_inputs, model_file, requests
from edgebench.errors import BadFile, EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.protocols import Run
from edgebench.records import replacing
from edgebench.specs import Artifact, Effective, Foreign, Layers, SessionOptions

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
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
    infer_py = INFER

    def __init__(self) -> None:
        import onnxruntime

        self._library = onnxruntime

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        available = self._library.get_available_providers()
        return tuple(compute for compute, provider in PROVIDERS.items() if provider in available)

    def signature(self, path: Path) -> Foreign:
        from edgebench.runtimes import onnxruntime_signature

        return onnxruntime_signature.read(path)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> OnnxRuntimeSession:
        onnxruntime = self._library
        refuse_unknown_options("ONNX Runtime", options.extra)
        if compute not in self.computes():
            raise Unsupported(
                f"this onnxruntime has no {PROVIDERS.get(compute, compute)!r}; "
                f"it has {', '.join(onnxruntime.get_available_providers())}",
                "--compute cpu, or install the build with that provider (onnxruntime-gpu)",
            )
        if artifact.precision != options.precision:
            raise Unsupported(
                f"ONNX Runtime runs an {artifact.precision} file as {artifact.precision}, not as {options.precision}",
                f"export at {options.precision}",
            )
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # its warnings go to stderr; what matters is read back below
        if options.threads:  # per request: requests in flight share the cores
            settings.intra_op_num_threads = max(1, options.threads // options.streams)
        if options.reference:  # else products of int8 overflow 16 bits on x86 without VNNI
            settings.add_session_config_entry("session.x64quantprecision", "1")
        path = model_file(artifact, self.suffixes[artifact.format])
        if compute == "cuda":
            _load_cuda(onnxruntime)
        try:
            session = onnxruntime.InferenceSession(str(path), settings, providers=[_provider(compute, self.version())])
        except Exception as error:  # onnxruntime raises a dozen unrelated kinds for a file that it cannot read
            from edgebench.runtimes import onnxruntime_refusals

            why, fix = onnxruntime_refusals.explained(str(error))
            raise BadFile(f"ONNX Runtime {self.version()} cannot open {path}: {why}", fix) from error
        check_inputs(artifact, {one.name: one.shape for one in session.get_inputs()})
        return OnnxRuntimeSession(session, PROVIDERS[compute], options, path, artifact)


def _load_cuda(library: ModuleType) -> None:
    """Load CUDA's and cuDNN's libraries where pip put them (`onnxruntime-gpu[cuda,cudnn]`, or torch's own).

    The system's loader does not look there, and without them ONNX Runtime falls back to the CPU. What is missing is
    told on stdout, which belongs to the caller; whether the provider works is checked later.
    """
    if preload := getattr(library, "preload_dlls", None):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):
            preload()


def _provider(compute: str, version: str) -> str | tuple[str, dict[str, str]]:
    """The execution provider. On CUDA it computes fp32 in TF32, with 10 bits of mantissa, unless told not to."""
    if compute != "cuda":
        return PROVIDERS[compute]
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) < (1, 18):  # has no such option; cuBLAS and cuDNN, which it loads next, heed this
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
        return PROVIDERS[compute]
    return PROVIDERS[compute], {"use_tf32": "0"}


class OnnxRuntimeSession:
    """An InferenceSession; with CUDA the copies to and from the GPU are part of `run`, as in ONNX Runtime itself."""

    def __init__(
        self, session: onnxruntime.InferenceSession, wanted: str, options: SessionOptions, path: Path,
        artifact: Artifact,
    ) -> None:  # fmt: skip
        import onnxruntime

        provider = session.get_providers()[0]
        if provider != wanted:  # a CUDA provider whose libraries are missing is dropped with a mere warning
            raise Unsupported(
                f"ONNX Runtime fell back to {provider}: its {wanted} did not load",
                "install the CUDA and cuDNN that it was built for, as by pip install 'onnxruntime-gpu[cuda,cudnn]'; or "
                "--compute cpu",
            )
        self._session: onnxruntime.InferenceSession | None = session
        self._library, self._path, self._artifact, self._batch = onnxruntime, path, artifact, options.batch
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
        with replacing.scratch() as folder:
            settings.profile_file_prefix = str(Path(folder, "profile"))
            opened = self._library.InferenceSession
            profiled = opened(str(self._path), settings, providers=self._session.get_providers())
            profiled.run(None, requests(self._artifact, self._batch)[0])
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
