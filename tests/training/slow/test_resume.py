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
from factories import NET
from safetensors.torch import load_file

from edgebench import artifact
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records.beginning import Beginning
from edgebench.records.recipe import TrainConfig
from edgebench.training.resuming import RunState, SavedRun

RECIPE = (
    "--model", "test_efficientnet", "--epochs", "5", "--subset", "100", "--batch-size", "16", "--ema", "0.9",
    "--mixup", "0.2", "--augment", "randaugment", "--no-floor",
)  # fmt: skip


def killed_after_epoch(epoch: int, out: Path, *arguments: str) -> None:
    """Start a run, and kill it (−9) once it has told the end of this epoch."""
    command = [sys.executable, "-m", "edgebench", "train", "--out", str(out), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean_environment(), cwd=out.parent) as run:
        for line in run.stderr:
            if line.startswith(f"epoch {epoch}/"):
                os.kill(run.pid, signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    assert not out.exists(), "no checkpoint before the end"


def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(in_process: Command, tmp_path: Path) -> None:
    out = tmp_path / "x"
    killed_after_epoch(3, out, *RECIPE)
    done = in_process("train", *RECIPE, "--resume", "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 5/5" in done.stderr and "epoch 1/5" not in done.stderr
    assert in_process("train", *RECIPE, "--out", tmp_path / "y", cwd=tmp_path).returncode == 0
    found, undisturbed = artifact.read(out), artifact.read(tmp_path / "y")
    assert found.files["weights.safetensors"] == undisturbed.files["weights.safetensors"]
    assert found.training.test_accuracy == undisturbed.training.test_accuracy
    assert len((out / "history.jsonl").read_text().splitlines()) == 5
    assert not list(tmp_path.glob(".x.*")), "what was kept for resuming is gone"


def test_a_full_disk_leaves_the_state_before_intact(tmp_path: Path) -> None:
    state, tensors = SavedRun(tmp_path / "x"), {"network/weight": torch.zeros(100_000)}
    state.save(RunState(config=TrainConfig(), beginning=Beginning(), epoch=1), tensors)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # as if the disk had no more room
    try:
        with pytest.raises(EdgebenchError, match="cannot be saved") as raised:
            state.save(RunState(config=TrainConfig(), beginning=Beginning(), epoch=2), tensors)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "make room on that disk" in raised.value.fix and "--resume" in raised.value.fix
    assert state.load(TrainConfig())[0].epoch == 1 and len(list(state.folder.iterdir())) == 1


def test_what_cannot_be_resumed_is_said(tmp_path: Path) -> None:
    state = SavedRun(tmp_path / "x")
    with pytest.raises(UsageError, match="there is no unfinished run to resume"):
        state.load(TrainConfig())
    state.save(RunState(config=TrainConfig(lr=0.01), beginning=Beginning()), {"network/weight": torch.zeros(1000)})
    assert state.load(TrainConfig())[0] == RunState(config=TrainConfig(lr=0.01), beginning=Beginning()), (
        "what was left open has been filled in"
    )
    with pytest.raises(UsageError, match="the unfinished run has --seed 0, not 7"):
        state.load(TrainConfig(seed=7))
    path = state.folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadFile, match="cannot be read"):
        state.load(TrainConfig())


def test_patience_ends_a_run_that_learns_nothing_more(in_process: Command, tmp_path: Path) -> None:
    quick = ("--epochs", "40", "--subset", "100", "--lr", "1e-12", "--patience", "2", "--no-floor")
    (tmp_path / "net.py").write_text(NET)
    done = in_process("train", "--model", "net.py:build", *quick, "--out", tmp_path / "x", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no better validation accuracy in 2 epochs" in done.stderr
    assert len((tmp_path / "x" / "history.jsonl").read_text().splitlines()) == 3


def test_two_processes_take_the_steps_of_one_with_twice_the_batch(in_process: Command, tmp_path: Path) -> None:
    """On a network without batch normalisation, whose gradients do not depend on how a batch is cut."""
    (tmp_path / "net.py").write_text(NET)
    same = (
        "train", "--model", "net.py:build", "--epochs", "2", "--subset", "200", "--shift", "0", "--lr", "0.01",
        "--threads", "1", "--no-floor",
    )  # fmt: skip
    done = in_process(*same, "--batch-size", "64", "--out", "one", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = subprocess.run(
        [*torchrun, "-m", "edgebench", *same, "--batch-size", "32", "--out", "two"], cwd=tmp_path, timeout=200,
        env=clean_environment(OMP_NUM_THREADS="1"), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 2/2") == 1, "the first process alone tells"
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-5)
