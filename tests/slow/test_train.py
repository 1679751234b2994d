"""`edgebench train` as typed: accuracy, time left, determinism, and an end by Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Command, clean_environment

from edgebench import artifact
from edgebench.specs import Artifact

QUICK = ("--epochs", "2", "--subset", "100")


def test_the_default_reaches_95_percent_on_the_test_split(edgebench: Command, tmp_path: Path) -> None:
    done = edgebench("train", "--workspace", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    training = json.loads(done.stdout)["checkpoint"]["training"]
    assert training["test_accuracy"] >= 0.95
    assert training["data"] | {"classes": 0, "indices_sha256": 0} == {
        "dataset": "digits", "classes": 0, "train": 1255, "validation": 182, "test": 360, "indices_sha256": 0,
        "duplicates": 0, "skipped": [],
    }  # fmt: skip
    lines = (tmp_path / "checkpoints").glob("*/history.jsonl")
    history = [json.loads(line) for line in next(lines).read_text().splitlines()]
    assert [line["epoch"] for line in history] == list(range(1, 13))
    best = max(line["validation_accuracy"] for line in history)
    assert training["validation_accuracy"] == best, "the checkpoint is the one that is best on validation"


def test_same_seed_same_weights_bit_for_bit(in_process: Command, checkpoint: Artifact, tmp_path: Path) -> None:
    recipe = ("--config", checkpoint.path / "config.toml")
    done = in_process("train", *recipe, "--out", tmp_path / "again", "--workspace", tmp_path)
    assert done.returncode == 0, done.stderr
    assert artifact.read(tmp_path / "again").files["weights.safetensors"] == checkpoint.files["weights.safetensors"]


def test_the_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    """On a real pseudo-terminal the bar shows loss, accuracy, images/s and the time left."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "edgebench", "train", *QUICK, "--workspace", str(tmp_path)]
    environment = clean_environment(TERM="xterm-256color", COLUMNS="160")
    shown = b""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=slave, env=environment) as process:
        os.close(slave)
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:  # Linux says EIO when the other side is gone
            pass
    assert process.returncode == 0
    text = shown.decode(errors="replace")
    for figure in ("epoch 2/2", "loss ", "acc ", "images/s", " left", "val "):
        assert figure in text, f"{figure!r} is not in the progress bar"


def test_ctrl_c_keeps_the_best_checkpoint_so_far(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgebench", "train", "--epochs", "500", "--subset", "200"]
    command += ["--workspace", str(tmp_path), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as process:
        for line in process.stderr:  # one line an epoch where there is no terminal
            if line.startswith("epoch 2/"):
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        stdout = process.stdout.read()
    assert process.returncode == 0
    checkpoint = json.loads(stdout)["checkpoint"]
    assert checkpoint["training"]["interrupted"] is True
    assert artifact.read(Path(json.loads(stdout)["path"])).training.best_epoch >= 1


@pytest.mark.parametrize("lr", ["1e6"])
def test_a_diverging_run_says_what_to_try(in_process: Command, tmp_path: Path, lr: str) -> None:
    done = in_process("train", *QUICK, "--lr", lr, "--epochs", "30", "--workspace", tmp_path)
    if done.returncode == 0:
        pytest.fail("a learning rate of a million trained without a word")
    assert "lower the learning rate: --lr 100000" in done.stderr
    assert not list((tmp_path / "checkpoints").iterdir()), "nothing to resume: it would diverge again"
