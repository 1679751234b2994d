"""Training that is killed, interrupted or out of disk, and goes on; and training by two processes."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import copies
import pytest
import torch
from conftest import Command
from factories import NET
from safetensors.torch import load_file
from torch.distributed import run as torchrun
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from edgebench import artifact
from edgebench.cli import cli
from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records.beginning import Beginning
from edgebench.records.recipe import TrainConfig
from edgebench.training.resuming import RunState, SavedRun

RECIPE = (
    "--model", "test_efficientnet", "--epochs", "5", "--subset", "100", "--batch-size", "16", "--ema", "0.9",
    "--mixup", "0.2", "--augment", "randaugment", "--no-floor", "--threads", "1",
)  # fmt: skip


def killed_after_epoch(epoch: int, out: Path, *arguments: str) -> None:
    """Start a run, and kill it (−9) once it has told the end of this epoch."""
    reading, writing = os.pipe()
    run = copies.start("train", "--out", out, *arguments, cwd=out.parent, stderr=writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as said:
        for line in said:
            if line.startswith(f"epoch {epoch}/"):
                os.kill(run, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]) == -signal.SIGKILL
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


def rank(*arguments: str) -> None:
    """What a process of torchrun's does, in a copy of this process, which has loaded torch."""
    cli.main(arguments, standalone_mode=False)


def test_two_processes_take_the_steps_of_one_with_twice_the_batch(
    in_process: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a network without batch normalisation, whose gradients do not depend on how a batch is cut."""
    (tmp_path / "net.py").write_text(NET)
    same = (
        "train", "--model", "net.py:build", "--epochs", "2", "--subset", "200", "--shift", "0", "--lr", "0.01",
        "--threads", "1", "--no-floor",
    )  # fmt: skip
    done = in_process(*same, "--batch-size", "64", "--out", "one", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    standalone = {"min_nodes": 1, "max_nodes": 1, "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
    two = LaunchConfig(**standalone, nproc_per_node=2, run_id="two", start_method="fork")
    elastic_launch(two, rank)(*same, "--batch-size", "32", "--out", "two")
    assert capfd.readouterr().err.count("epoch 2/2") == 1, "the first process alone tells"
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-5)


def test_torchrun_starts_the_command_as_it_is_typed(capfd: pytest.CaptureFixture[str]) -> None:
    torchrun.main(["--standalone", "--nproc-per-node", "2", "-m", "edgebench", "train", "--help"])
    assert capfd.readouterr().out.count("Usage: edgebench train ") == 2
