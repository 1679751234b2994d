"""Every installed runtime keeps the contract, on every format it accepts; and the contract bites."""

from __future__ import annotations

import dataclasses
import threading

import lite
import numpy as np
import pytest
from adoption import adopted
from edgebench.runtimes.fake import Fake, FakeSession
from exports import exported

from edgebench.errors import Unsupported
from edgebench.machine import registry
from edgebench.specs import Artifact
from edgebench.testing import check_runtime

FORMATS = ("checkpoint", "onnx", "openvino", "tflite", "ncnn")


@pytest.fixture(scope="session")
def by_format(
    checkpoint: Artifact, onnx_artifact: Artifact, openvino_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Artifact]:
    root = tmp_path_factory.mktemp("contract")
    foreign = adopted(lite.scores(root / "scores.tflite"), root / "made")
    single = exported("ncnn", onnx_artifact, root / "ncnn")
    return {made.format: made for made in (checkpoint, onnx_artifact, openvino_artifact, foreign, single)}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", registry.names("runtimes"))
def test_every_runtime_keeps_the_contract(name: str, format: str, by_format: dict[str, Artifact]) -> None:
    try:
        runtime = registry.load("runtimes", name)
    except Unsupported as error:
        if name in ("tensorrt", "tensorrt_rtx"):
            pytest.skip(f"{error.message}; test_tensorrt.py holds it to the contract with a stand-in")
        raise
    if format not in runtime.accepts:
        with pytest.raises(AssertionError, match="not in `accepts`"):
            check_runtime(name, by_format[format])
        return
    for compute in runtime.computes():  # with an NVIDIA card on CUDA too
        if compute != "auto" or format in runtime.native:  # it is one of the others
            check_runtime(name, by_format[format], compute)


class _Entry:
    """What `registry` finds in place of an installed entry point."""

    name = "broken"

    def __init__(self, runtime: type) -> None:
        self._runtime = runtime

    def load(self) -> type:
        return self._runtime


class _Shares(FakeSession):
    """Writes each answer over the last one."""

    _buffers: dict = {}  # noqa: RUF012

    def run(self, inputs):
        (name, value), *_ = super().run(inputs).items()
        buffer = self._buffers.setdefault(value.shape, np.empty_like(value))
        buffer[:] = value
        return {name: buffer}


class _Transposes(FakeSession):
    def run(self, inputs):
        return {name: value[:, ::-1].copy() for name, value in super().run(inputs).items()}


class _Truncates(FakeSession):
    def run(self, inputs):
        return {name: value[:3] for name, value in super().run(inputs).items()}


class _Lies(FakeSession):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.effective = dataclasses.replace(self.effective, precision="bf16")


class _StaysOpen(FakeSession):
    def close(self) -> None:
        pass


class _TakesAnything(FakeSession):
    def run(self, inputs):
        try:
            return super().run(inputs)
        except KeyError:
            return {}


class _ScribblesOnInput(FakeSession):
    def run(self, inputs):
        outputs = super().run(inputs)
        next(iter(inputs.values()))[:] = 0
        return outputs


class _GivesFewerLanes(FakeSession):
    def lanes(self, count):
        return [self.run]


class _SharesLanes(_Shares):
    _lock = threading.Barrier(2, timeout=10)

    def lanes(self, count):
        def run(inputs):
            outputs = _Shares.run(self, inputs)
            self._lock.wait()
            return {name: value.copy() for name, value in outputs.items()}

        return [run] * count

    def run(self, inputs):
        return FakeSession.run(self, inputs)


class _TellsNoTimeAs0(FakeSession):
    def device_time_ns(self):
        return 0


class _TellsLayersInWords(FakeSession):
    def layers(self):
        return ["conv1 in fp32"]


@pytest.mark.parametrize(
    ("session", "rule"),
    [
        (_Shares, "changed the outputs of an earlier one"),
        (_Transposes, "its answers are not torch's"),
        (_Truncates, "batch 8 gave shape"),
        (_Lies, "silent fallback"),
        (_StaysOpen, "running a closed session"),
        (_TakesAnything, "unknown input name"),
        (_ScribblesOnInput, "changed the caller's input|gave another answer"),
        (_GivesFewerLanes, "as many as asked for, or none"),
        (_SharesLanes, "lanes used at the same time mix their answers"),
        (_TellsNoTimeAs0, "or None if unknown"),
        (_TellsLayersInWords, "empty if it cannot tell"),
    ],
)
def test_the_contract_names_the_broken_rule(
    session: type, rule: str, onnx_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Fake):
        def open(self, artifact, compute, options):
            super().open(artifact, compute, options)
            return session(artifact, [0.0], options)

    monkeypatch.setattr(registry, "_entries", lambda kind: {"broken": _Entry(Broken)})
    with pytest.raises(AssertionError, match=rule):
        check_runtime("broken", onnx_artifact)
