"""`edgebench profile`: figures that agree with each other, memory of a process of its own, failures in their rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgebench.cli import cli
from edgebench.training import complexity


def test_published_figures_without_memory() -> None:
    found = complexity.profile("resnet50", 224, 1, 2, memory=False)
    assert found.macs == pytest.approx(4.09e9, rel=0.01) and found.flops == 2 * found.macs
    assert found.activations == pytest.approx(11.11e6, rel=0.001)
    assert found.weights_bytes == pytest.approx(4 * found.parameters, rel=0.01)
    assert (found.memory, found.error) == (None, "")


def test_memory_holds_the_weights_and_training_more() -> None:
    arguments = ["profile", "resnet18", "no_such_net", "--image-size", "64", "--train-batch-size", "2", "--json"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 1, done.stderr  # one of the two failed, which did not keep the other from its figures
    good, bad = json.loads(done.stdout)
    assert "unknown model 'no_such_net'" in bad["error"] and bad["parameters"] is None
    memory, weights = good["memory"], good["weights_bytes"]
    assert memory["source"] in ("VmHWM", "torch.cuda.max_memory_allocated")
    assert weights < memory["inference_bytes"] < 2.5 * weights
    # Weights, gradients and the two moments of AdamW.
    assert 4 * weights < memory["training_bytes"] < 8 * weights
    assert (good["batch_size"], good["train_batch_size"], good["error"]) == (1, 2, "")


def test_markdown_holds_a_row_for_each_and_the_reason_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("def build(n):\n    raise ValueError('a | b')\n")
    arguments = ["profile", "test_vit", "net.py:build", "--no-memory", "--image-size", "32", "--format", "markdown"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("| model | params M | GMACs | GFLOPs | activations M |")
    assert [line.count(" | ") for line in lines[:4]] == [7] * 4
    assert "line 2: ValueError: a \\| b" in done.stdout
