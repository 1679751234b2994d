"""ONNX Runtime on CUDA, as far as it can be seen without a card: what is asked of it."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime
import pytest
from edgebench.runtimes.onnxruntime import OnnxRuntime
from factories import make_artifact

from edgebench.errors import BadFile
from edgebench.specs import SessionOptions


@pytest.mark.parametrize(
    ("version", "device", "asked", "override"),
    [
        ("1.20.1", "cuda", ("CUDAExecutionProvider", {"use_tf32": "0"}), None),
        ("1.17.0", "cuda", "CUDAExecutionProvider", "0"),
        ("1.20.1", "cpu", "CPUExecutionProvider", None),
    ],
)
def test_fp32_is_not_computed_in_tf32(
    version: str, device: str, asked: object, override: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an fp32 result would be none, and faster than the fp32 peaks of a profile allow."""
    seen: list = []

    def session(path: str, settings: object, providers: list) -> None:
        seen.extend(providers)
        raise RuntimeError("there is no card")

    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "kept")  # so that what is set below is undone
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    monkeypatch.setattr(onnxruntime, "__version__", version)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.raises(BadFile, match="there is no card"):
        OnnxRuntime().open(make_artifact(tmp_path / "net"), device, SessionOptions(precision="fp32"))
    assert seen == [asked] and os.environ.get("NVIDIA_TF32_OVERRIDE") == override


def test_the_libraries_that_pip_brought_are_loaded_for_cuda_alone_and_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The system's loader does not look into site-packages; ONNX Runtime prints which it did not find."""
    asked: list[str] = []

    def preload() -> None:
        asked.append("preloaded")
        print("Failed to load libcublasLt.so.13")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: asked.append("opened") or 1 / 0)
    for compute in ("cpu", "cuda"):
        with pytest.raises(BadFile):
            OnnxRuntime().open(make_artifact(tmp_path / compute), compute, SessionOptions(precision="fp32"))
    assert asked == ["opened", "preloaded", "opened"] and capsys.readouterr().out == ""
