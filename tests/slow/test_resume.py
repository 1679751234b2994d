"""Training that is killed, interrupted or out of disk, and goes on; and training by two processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Command, clean_environment
from safetensors.torch import load_file

from edgebench import artifact

RECIPE = ("--epochs", "6", "--subset", "200", "--ema", "0.9", "--mixup", "0.2", "--augment", "randaugment")
NET = """
from torch import nn

def build(num_classes, image_size):
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=4), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, num_classes)
    )
"""


def killed_after_epoch(epoch: int, out: Path, *arguments: str) -> None:
    """Start a run, and kill it (−9) once it has told the end of this epoch."""
    command = [sys.executable, "-m", "edgebench", "train", "--out", str(out), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean_environment(), cwd=out.parent) as run:
        for line in run.stderr:
            if line.startswith(f"epoch {epoch}/"):
                os.kill(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert not out.exists(), "no checkpoint before the end"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, edgebench: Command) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    done = edgebench("train", *RECIPE, "--out", folder / "x", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "x"


def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(
    edgebench: Command, undisturbed: Path, tmp_path: Path
) -> None:
    killed_after_epoch(4, tmp_path / "x", *RECIPE)
    done = edgebench("train", *RECIPE, "--out", tmp_path / "x", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 6/6" in done.stderr and "epoch 1/6" not in done.stderr
    whole, resumed = (artifact.read(folder) for folder in (undisturbed, tmp_path / "x"))
    assert resumed.files["weights.safetensors"] == whole.files["weights.safetensors"]
    assert resumed.training.test_accuracy == whole.training.test_accuracy
    assert len((tmp_path / "x" / "history.jsonl").read_text().splitlines()) == 6
    assert not list(tmp_path.glob(".x.*")), "what was kept for resuming is gone"


def test_a_full_disk_leaves_the_state_before_intact(edgebench: Command, tmp_path: Path) -> None:
    killed_after_epoch(3, tmp_path / "x", *RECIPE)
    (state,) = (tmp_path / ".x.unfinished").iterdir()
    before = state.read_bytes()

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = edgebench("train", *RECIPE, "--out", tmp_path / "x", "--resume", cwd=tmp_path, preexec_fn=little_room)
    assert done.returncode == 1 and "make room on that disk" in done.stderr and "Traceback" not in done.stderr
    assert state.read_bytes() == before and list(state.parent.iterdir()) == [state]
    done = edgebench("train", *RECIPE, "--out", tmp_path / "x", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_what_cannot_be_resumed_is_said(edgebench: Command, tmp_path: Path) -> None:
    done = edgebench("train", *RECIPE, "--out", tmp_path / "x", "--resume", cwd=tmp_path)
    assert done.returncode == 2 and "there is no unfinished run to resume" in done.stderr
    killed_after_epoch(2, tmp_path / "x", *RECIPE)
    done = edgebench("train", *RECIPE, "--seed", "7", "--out", tmp_path / "x", "--resume", cwd=tmp_path)
    assert done.returncode == 2 and "the unfinished run has --seed 0, not 7" in done.stderr
    (state,) = (tmp_path / ".x.unfinished").iterdir()
    state.write_bytes(state.read_bytes()[:1000])
    done = edgebench("train", *RECIPE, "--out", tmp_path / "x", "--resume", cwd=tmp_path)
    assert done.returncode == 1 and "cannot be read" in done.stderr and "Traceback" not in done.stderr


def test_patience_ends_a_run_that_learns_nothing_more(edgebench: Command, tmp_path: Path) -> None:
    quick = ("--epochs", "40", "--subset", "100", "--lr", "1e-12", "--patience", "2")
    (tmp_path / "net.py").write_text(NET)
    done = edgebench("train", "--model", "net.py:build", *quick, "--out", tmp_path / "x", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "none of the last 2 was better" in done.stderr
    assert len((tmp_path / "x" / "history.jsonl").read_text().splitlines()) == 3


def test_two_processes_take_the_steps_of_one_with_twice_the_batch(tmp_path: Path) -> None:
    """On a network without batch normalisation, whose gradients do not depend on how a batch is cut."""
    (tmp_path / "net.py").write_text(NET)
    same = (
        "--model",
        "net.py:build",
        "--epochs",
        "2",
        "--subset",
        "400",
        "--shift",
        "0",
        "--lr",
        "0.01",
        "--threads",
        "1",
    )
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    weights = []
    for name, launcher, batch in (("one", (), "64"), ("two", torchrun, "32")):
        command = [sys.executable, *launcher, "-m", "edgebench", "train", *same, "--batch-size", batch, "--out", name]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=clean_environment(OMP_NUM_THREADS="1"),
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("epoch 2/2") == 1, "the first process alone tells"
        weights.append(load_file(tmp_path / name / "weights.safetensors"))
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-4, atol=1e-5)
