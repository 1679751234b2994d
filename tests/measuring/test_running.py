"""Planning measurements: which runtimes are started to be asked, and what is refused before that."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_artifact

from edgebench.errors import EdgebenchError, UsageError
from edgebench.machine import device
from edgebench.measuring import process, running
from edgebench.measuring.options import RunOptions
from edgebench.specs import Probe


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runtimes that were asked; none of them opens anything."""
    names: list[str] = []

    def probe_all(given: list[str]) -> list[Probe]:
        names.extend(given)
        return [Probe(name=name, accepts=(), version="1", computes=("cpu",), libraries={}) for name in given]

    monkeypatch.setattr(process, "probe_all", probe_all)
    return names


def plan(tmp_path: Path, format: str, **options) -> None:
    profile = device.detect()
    placement = device.place(profile, require_device=False, environ={})
    running.plan([make_artifact(tmp_path / "made", format=format)], profile, placement, RunOptions(**options))


@pytest.mark.parametrize(
    ("format", "runtimes", "names"),
    [
        ("onnx", (), {"onnxruntime", "openvino"}),
        ("checkpoint", (), {"torch"}),
        ("tflite", (), {"litert", "openvino"}),
        ("onnx", ("torch",), {"torch"}),
        ("unheard-of", (), {"litert", "onnxruntime", "openvino", "tensorrt", "torch"}),
    ],
)
def test_only_runtimes_that_say_they_open_it_are_asked(
    tmp_path: Path, asked: list[str], format: str, runtimes: tuple[str, ...], names: set[str]
) -> None:
    with pytest.raises(EdgebenchError, match=f"no runtime here opens {format}"):
        plan(tmp_path, format, runtimes=runtimes)
    assert set(asked) == names


def test_too_many_threads_are_refused_before_any_is_asked(tmp_path: Path, asked: list[str]) -> None:
    with pytest.raises(UsageError, match="--threads is 9999"):
        plan(tmp_path, "onnx", threads=9999)
    assert asked == []
