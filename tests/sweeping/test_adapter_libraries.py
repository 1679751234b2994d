"""Which libraries a sweep's steps depend on: those that exporters and runtimes declare, ours and those of plug-ins."""

from __future__ import annotations

from importlib import metadata

import pytest

from edgebench.machine import registry
from edgebench.measuring.options import RunOptions
from edgebench.records.probe import Probe
from edgebench.records.recipe import TrainConfig
from edgebench.sweeping import build, facts
from edgebench.sweeping.facts import Facts, key
from edgebench.sweeping.site import Site
from edgebench.sweeping.steps import Train

TRAINED = Train(config=TrainConfig(), folder="net", contents={"dataset": "0" * 64}, tools={"torch": "2.0"})


def exported(target: str, precision: str) -> list[str]:
    """The identities of the exports that lead to a target, with the versions that are installed now."""
    known = Facts(contents={key(TRAINED.config): {}}, datasets={}, networks={}, exporting=facts.exporting((target,)))
    return [step.identity for step in build.export(TRAINED, target, precision, known)]


@pytest.fixture
def another_version(monkeypatch: pytest.MonkeyPatch):
    """Makes one installed distribution look as if it had been upgraded."""
    real = metadata.version

    def upgrade(name: str) -> None:
        monkeypatch.setattr(registry, "version", lambda asked: "99.0" if asked == name else real(asked))

    return upgrade


@pytest.mark.parametrize(
    ("library", "target", "precision"),
    [
        ("onnxsim", "onnx", "fp32"), ("timm", "onnx", "fp32"), ("onnxruntime", "onnx", "fp16"),
        ("nncf", "onnx", "int8"), ("openvino", "openvino", "fp32"), ("nncf", "openvino", "int8"),
        ("onnx", "tensorrt", "int8"),
    ],
)  # fmt: skip
def test_another_version_of_a_library_that_changes_an_export_makes_it_new(
    library: str, target: str, precision: str, another_version
) -> None:
    before = exported(target, precision)
    another_version(library)
    assert exported(target, precision)[-1] != before[-1]


def test_other_libraries_leave_an_export_as_it_is(another_version) -> None:
    before = exported("onnx", "fp32"), exported("openvino", "fp32")
    another_version("nncf")
    assert (exported("onnx", "fp32"), exported("openvino", "fp32")) == before


def test_a_measurement_depends_on_what_the_runtime_declares_where_it_runs() -> None:
    def identity(libraries: dict[str, str]) -> str:
        probe = Probe(name="torch", accepts=("checkpoint",), version="2.0", computes=("cpu",), libraries=libraries)
        return build.measure(
            TRAINED, "torch", Site(device="cpu", compute="cpu", machine="a machine", probes=(probe,)), RunOptions()
        ).identity

    now = {"torch": "2.0", "timm": "1.0"}
    assert identity(now) == identity(dict(now)) != identity(now | {"timm": "1.1"})
    assert identity({}) != identity(now)


def test_a_runtime_that_declares_itself_alone_keeps_the_identity_of_earlier_sweeps() -> None:
    probe = Probe(
        name="onnxruntime", accepts=("onnx",), version="1.27.0", computes=("cpu",), libraries={"onnxruntime": "1.27.0"}
    )
    site = Site(device="cpu", compute="cpu", machine="a machine", probes=(probe,))
    assert build.measure(TRAINED, "onnxruntime", site, RunOptions()).tools == {"onnxruntime": "1.27.0"}


def test_a_measurement_depends_on_what_its_scenario_declares(another_version) -> None:
    probe = Probe(name="onnxruntime", accepts=("onnx",), version="1.27.0", computes=("cpu",))
    site = Site(device="cpu", compute="cpu", machine="a machine", probes=(probe,))

    def identity(scenario: str) -> str:
        return build.measure(TRAINED, "onnxruntime", site, RunOptions(scenario=scenario)).identity

    before = identity("single-stream"), identity("latency")
    another_version("mlcommons-loadgen")
    assert identity("single-stream") != before[0] and identity("latency") == before[1]
