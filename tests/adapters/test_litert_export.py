"""The LiteRT exporter beside stand-ins of its tools, which are too large for the tests' environment."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import lite
import numpy as np
import pytest
from edgebench.exporters import litert
from edgebench.exporters.litert import LiteRtExporter

from edgebench.errors import EdgebenchError, Unsupported, UsageError
from edgebench.machine import registry
from edgebench.specs import Artifact, Calibration, ExportOptions


@pytest.fixture
def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiteRtExporter:
    """An exporter whose tools are a script that copies a small file and keeps what it was called with."""
    lite.scores(tmp_path / "scores.tflite")
    tool = tmp_path / "standin_work.py"
    tool.write_text(
        "import json, shutil, sys, pathlib\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / 'asked.json').write_text(json.dumps(sys.argv[1:]))\n"
        "if sys.argv[1] == 'int8': shutil.copy(sys.argv[3], here / 'requests.npy')\n"
        "if (here / 'broken').exists(): sys.exit('no lowering for aten.odd')\n"
        "shutil.copy(here / 'scores.tflite', sys.argv[-1])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(litert, "WORK", "standin_work")
    monkeypatch.setattr(litert.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(metadata, "version", lambda name: "1.2")
    return LiteRtExporter()


def _asked(folder: Path) -> list[str]:

    return json.loads((folder / "asked.json").read_text())


def test_a_checkpoint_is_converted_for_one_picture(
    exporter: LiteRtExporter, checkpoint: Artifact, tmp_path: Path
) -> None:
    (out := tmp_path / "out").mkdir()
    made = exporter.export(checkpoint, out, ExportOptions())
    assert _asked(tmp_path) == ["convert", str(checkpoint.path), str(out / "model.tflite")]
    (given,) = made.inputs
    assert given.shape == (1, *checkpoint.inputs[0].shape[1:]) and made.outputs[0].shape[0] == 1
    assert given.name != checkpoint.inputs[0].name  # it is the file's own, by which OpenVINO knows it
    assert made.files == ("model.tflite",) and made.tools["litert-torch"] == "1.2"


def test_int8_is_calibrated_on_the_artifacts_pictures_and_fp16_needs_none(
    exporter: LiteRtExporter, checkpoint: Artifact, tmp_path: Path
) -> None:
    (folder := tmp_path / "fp32").mkdir()
    shutil.copy(tmp_path / "scores.tflite", folder / "model.tflite")
    source = replace(checkpoint, format="tflite", files={"model.tflite": ""}, path=folder)
    (out := tmp_path / "out").mkdir()
    assert exporter.export(source, out, ExportOptions(precision="fp16")).precision == "fp16"
    assert _asked(tmp_path)[:3] == ["fp16", str(folder / "model.tflite"), ""]
    size = checkpoint.preprocessing.height
    images = np.random.default_rng(0).integers(0, 256, (12, size, size, 3), dtype=np.uint8)
    given = Calibration(images, images, np.zeros(12, np.int64), classes=2)
    exporter.export(source, out, ExportOptions(precision="int8", calibration=given))
    kept = np.load(tmp_path / "requests.npy")
    assert kept.shape == (12, 3, size, size) and kept.dtype == np.float32
    with pytest.raises(UsageError, match="int8 needs calibration images"):
        exporter.export(source, out, ExportOptions(precision="int8"))
    with pytest.raises(Unsupported, match="does not bound what accuracy int8 costs"):
        exporter.export(source, out, ExportOptions(precision="int8", calibration=given, accuracy_drop=0.01))


def test_a_network_that_cannot_be_converted_is_told_with_the_converters_last_word(
    exporter: LiteRtExporter, checkpoint: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "broken").touch()
    (out := tmp_path / "out").mkdir()
    with pytest.raises(EdgebenchError, match=r"cannot make fp32 of .*exit code 1 \(no lowering for aten.odd\)"):
        exporter.export(checkpoint, out, ExportOptions())


@pytest.mark.skipif(importlib.util.find_spec("litert_torch") is not None, reason="it is installed here")
def test_without_its_tools_the_extra_is_named() -> None:
    with pytest.raises(Unsupported, match="tflite needs the Python module 'litert_torch'") as refused:
        registry.load("exporters", "tflite")
    assert "'.[litert-export]'" in refused.value.fix and "an environment of its own" in refused.value.fix
