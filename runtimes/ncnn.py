"""ncnn on the CPU: one picture a request, in fp32 or with fp16 storage, as the artifact says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from edgebench.artifact import model_file
from edgebench.errors import BadFile, EdgebenchError, Unsupported, refuse_unknown_options
from edgebench.protocols import Run
from edgebench.specs import Artifact, Effective, Layers, SessionOptions

if TYPE_CHECKING:
    import ncnn

PROVIDER = "ncnn CPU"
# Its own defaults are fp16 wherever the CPU has it, for any file, and it does not tell: 7e-4 of the largest logit.
HALVES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic")
NO_LAYERS = {"Input", "Split", "MemoryData", "Noop"}
INFER = """import ncnn

net = ncnn.Net()
for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"):
    setattr(net.opt, name, SETTINGS["precision"] == "fp16")
if SETTINGS["threads"]:
    net.opt.num_threads = SETTINGS["threads"]
files = HERE / SETTINGS["model"], (HERE / SETTINGS["model"]).with_suffix(".bin")
if net.load_param(str(files[0])) or net.load_model(str(files[1])):
    sys.exit(f"{files[0]} does not open: deploy the folder again")


def run(pixels):
    extractor = net.create_extractor()
    picture = np.ascontiguousarray(pixels[0])  # Mat ignores strides, and does not keep the array alive
    extractor.input(net.input_names()[0], ncnn.Mat(picture).clone())  # some layers write into their input
    return np.array(extractor.extract(net.output_names()[0])[1])[None]"""


class Ncnn:
    """Opens what the exporter of the same name made."""

    accepts = frozenset({"ncnn"})
    native = ("ncnn",)
    suffixes = {"ncnn": ".param"}
    installs = {"ncnn": "edgebench[ncnn]"}
    requirements = ("ncnn>=1.0.20250503",)
    libraries = ("ncnn",)
    on, takes = ("cpu",), {}
    infer_py = INFER

    def __init__(self) -> None:
        import ncnn

        self._library = ncnn

    def version(self) -> str:
        return self._library.__version__

    def computes(self) -> tuple[str, ...]:
        return ("cpu",)

    def open(self, artifact: Artifact, compute: str, options: SessionOptions) -> NcnnSession:
        refuse_unknown_options("ncnn", options.extra)
        if compute != "cpu":
            raise Unsupported(f"ncnn does not run on {compute!r} here", "--compute cpu")
        if artifact.precision != options.precision:
            raise Unsupported(
                f"ncnn runs an {artifact.precision} artifact as {artifact.precision}, not as {options.precision}",
                f"export at {options.precision}",
            )
        return NcnnSession(self._library, artifact, options, model_file(artifact, self.suffixes[artifact.format]))


class NcnnSession:
    """A net, from which each request takes an extractor of its own."""

    def __init__(self, library: ModuleType, artifact: Artifact, options: SessionOptions, path: Path) -> None:
        self._library, self._inputs, self._outputs = library, artifact.inputs, artifact.outputs
        self._net: ncnn.Net | None = library.Net()
        for half in HALVES:
            setattr(self._net.opt, half, artifact.precision == "fp16")
        self._net.opt.num_threads = max(1, (options.threads or len(os.sched_getaffinity(0))) // options.streams)
        before = _tasks()
        for load, file in ((self._net.load_param, path), (self._net.load_model, model_file(artifact, ".bin"))):
            if load(str(file)):
                raise BadFile(f"ncnn {library.__version__} cannot open {file}", "a newer ncnn, or export it again")
        self._enter, self._leave = self._net.input_names(), self._net.output_names()  # in the order of the ONNX file
        if (len(self._enter), len(self._leave)) != (len(self._inputs), len(self._outputs)):
            found = f"{len(self._enter)} inputs and {len(self._leave)} outputs"
            raise BadFile(f"the model in {path} has {found}, its manifest says otherwise", "export it again")
        # Loading packs the weights with the threads that will compute; a session before may have made some of them.
        told = len(_tasks() - before) == self._net.opt.num_threads - 1
        self.effective = Effective(
            provider=PROVIDER,
            precision=None,  # what each layer computes in depends on the CPU, and it does not tell
            threads=self._net.opt.num_threads * options.streams if told else None,
            version=library.__version__,
        )

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._net is None:
            raise EdgebenchError("the ncnn session is closed")
        extractor = self._net.create_extractor()
        for spec, name in zip(self._inputs, self._enter, strict=True):
            given, shape = inputs[spec.name], spec.sizes or spec.shape
            if given.shape != shape or str(given.dtype) != spec.dtype:  # ncnn itself would compute something
                raise EdgebenchError(
                    f"{spec.name} takes {spec.dtype} {shape}, not {given.dtype} {given.shape}",
                    "the shape of its export",
                )
            # Without the batch, which is 1. Mat ignores strides and does not keep the array alive, so it has a name.
            row = np.ascontiguousarray(given[0])
            extractor.input(name, self._library.Mat(row).clone())  # some layers write into their input
        answers = {}
        for spec, name in zip(self._outputs, self._leave, strict=True):
            status, found = extractor.extract(name)
            if status:
                raise EdgebenchError(f"ncnn ended {spec.name} with status {status}", "another --runtime")
            answers[spec.name] = np.array(found)[None]
        return answers

    def lanes(self, count: int) -> Sequence[Run]:
        return [self.run] * count  # extractors do not share anything that changes

    def layers(self) -> Sequence[Layers]:
        return [Layers(None, PROVIDER, sum(layer.type not in NO_LAYERS for layer in self._net.layers()))]

    def device_time_ns(self) -> int | None:
        return None

    def close(self) -> None:
        self._net = None

    def __enter__(self) -> NcnnSession:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _tasks() -> set[str]:
    """This process's threads."""
    return set(os.listdir("/proc/self/task"))
