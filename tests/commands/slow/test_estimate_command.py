"""`edgebench estimate` on a real model: torch's own count of its products, and ratios to what was measured here."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from conftest import Command

from edgebench import artifact
from edgebench.estimating import host_peaks, onnx_layers
from edgebench.specs import Artifact


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's peaks are measured for a moment: what they are does not matter here."""
    monkeypatch.setattr(host_peaks, "measure", partial(host_peaks.measure, 0.1))


def test_the_products_of_the_layers_are_those_that_torch_counted(onnx_artifact: Artifact) -> None:
    found = onnx_layers.layers(artifact.model_file(onnx_artifact, ".onnx"))
    assert sum(layer.macs for layer in found) == onnx_artifact.model.macs
    weights = sum(layer.weight_bytes for layer in found)
    assert 0.9 * 4 * onnx_artifact.model.parameters < weights <= 4 * onnx_artifact.model.parameters


def test_a_floor_on_a_board_and_how_loose_it_is_here(
    in_process: Command, openvino_artifact: Artifact, workspace: Path
) -> None:
    arguments = ("--device", "jetson_orin_nano", "--json")
    done = in_process("estimate", openvino_artifact.path, *arguments, "--workspace", workspace)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    floor, here = told["floor"], told["here"]
    assert told["artifact"].endswith("-onnx"), "the layers are read from the ONNX artifact beside it"
    assert floor["evidence"] == here["floor"]["evidence"] == "estimated-floor"
    assert floor["roof"]["gflops"] == {"fp32": 2080, "int8": 33000} and told["measured"] == []
    macs = sum(layer["macs"] for layer in floor["layers"])
    assert floor["floor_ms"] >= 2 * macs / 2080e9 * 1e3 and here["floor"]["floor_ms"] > 0
    assert floor["floor_ms"] == pytest.approx(sum(layer["floor_us"] for layer in floor["layers"]) / 1000)


def test_what_was_measured_here_is_held_against_the_floor_of_this_machine(
    in_process: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    run = ("run", onnx_artifact.path, "--runtime", "ort", "--launches", "1", "--warmup", "0", "--duration", "0.3")
    assert in_process(*run, "--workspace", tmp_path).returncode == 0
    done = in_process("estimate", onnx_artifact.path, "--workspace", tmp_path, "--json")
    (row,) = json.loads(done.stdout)[0]["here"]["measured"]
    assert row["runtime"] == "onnxruntime" and row["ratio"] == row["median_ms"] / row["floor_ms"] > 0
    shown = in_process("estimate", onnx_artifact.path, "--workspace", tmp_path).stdout
    assert "× the floor" in shown and "estimated-floor" in shown and "no forecast" in shown
