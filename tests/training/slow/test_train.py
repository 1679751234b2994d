"""`edgebench train` as typed: accuracy, time left, determinism, and an end by Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import pty
from pathlib import Path

import copies
import pytest
from conftest import Command

from edgebench import artifact
from edgebench.commands import _training
from edgebench.specs import Artifact
from edgebench.training.listening import TrainingStep

QUICK = ("--epochs", "2", "--subset", "100", "--no-floor")


def test_on_a_terminal_it_tells_most_digits_apart_and_shows_its_progress(tmp_path: Path) -> None:
    """All of the digits, for a few epochs, on a real pseudo-terminal."""
    asked = ("train", "--epochs", "3", "--no-floor", "--workspace", tmp_path, "--json")
    master, slave = pty.openpty()
    with open(tmp_path / "told", "w+") as told:
        run = copies.start(
            *asked, cwd=tmp_path, stdout=told.fileno(), stderr=slave, TERM="xterm-256color", COLUMNS="160"
        )
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError), open(master, "rb", buffering=0) as terminal:
            while chunk := terminal.read(65536):  # Linux says EIO when the other side is gone
                shown += chunk
        code = os.waitstatus_to_exitcode(os.waitpid(run, 0)[1])
    text = shown.decode(errors="replace")
    assert code == 0, text[-2000:]
    for figure in ("epoch 3/3", "loss ", "acc ", "images/s", " left", "val "):
        assert figure in text, f"{figure!r} is not in the progress bar"

    made = json.loads((tmp_path / "told").read_text())["checkpoint"]["training"]
    assert made["test_accuracy"] >= 0.8
    account = made["data"].pop("account")
    assert len(made["data"].pop("test_sha256")) == 64
    assert sum(each["correct"] for each in made["test_classes"]) == round(360 * made["test_accuracy"])
    assert made["data"] | {"classes": 0, "indices_sha256": 0} == {
        "dataset": "digits", "classes": 0, "train": 1255, "validation": 182, "test": 360, "indices_sha256": 0,
    }  # fmt: skip
    assert (account["found"], account["left_out"]) == (1797, [])
    assert account["used"] == {"train": 1255, "validation": 182, "test": 360}
    lines = (tmp_path / "checkpoints").glob("*/history.jsonl")
    history = [json.loads(line) for line in next(lines).read_text().splitlines()]
    assert [line["epoch"] for line in history] == list(range(1, 4))
    best = max(line["validation_accuracy"] for line in history)
    assert made["validation_accuracy"] == best, "the checkpoint is the one that is best on validation"


def test_same_seed_same_weights_bit_for_bit(in_process: Command, checkpoint: Artifact, tmp_path: Path) -> None:
    recipe = ("--config", checkpoint.path / "config.toml", "--no-floor")
    done = in_process("train", *recipe, "--out", tmp_path / "again", "--workspace", tmp_path)
    assert done.returncode == 0, done.stderr
    assert artifact.read(tmp_path / "again").files["weights.safetensors"] == checkpoint.files["weights.safetensors"]


def test_two_equal_trainings_at_once_make_one_checkpoint(tmp_path: Path) -> None:
    """Both end well: the one that is later replaces the other's checkpoint, which has the same weights."""
    asked = ("train", *QUICK, "--workspace", tmp_path, "--json")
    with open(tmp_path / "first", "w+") as first, open(tmp_path / "second", "w+") as second:
        runs = [
            copies.start(*asked, cwd=tmp_path, stdout=told.fileno(), stderr=told.fileno()) for told in (first, second)
        ]
        codes = [os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]) for run in runs]
    told = [(tmp_path / name).read_text() for name in ("first", "second")]
    assert codes == [0, 0], "\n".join(text[-2000:] for text in told)
    (made,) = (tmp_path / "checkpoints").iterdir()
    assert artifact.read(made).training.data.train > 0


def test_ctrl_c_keeps_the_best_checkpoint_so_far(
    in_process: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What Python makes of Ctrl-C, in the third epoch. (The signal itself would be pytest's as well.)"""
    show = _training.TrainingProgress.show

    def interrupted(self: _training.TrainingProgress, step: TrainingStep) -> None:
        show(self, step)
        if step.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(_training.TrainingProgress, "show", interrupted)
    done = in_process("train", "--epochs", "500", "--subset", "100", "--workspace", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert "epoch 2/500" in done.stderr and "epoch 4/500" not in done.stderr
    told = json.loads(done.stdout)
    assert told["checkpoint"]["training"]["interrupted"] is True
    assert artifact.read(Path(told["path"])).training.best_epoch in (1, 2)


@pytest.mark.parametrize("lr", ["1e6"])
def test_a_diverging_run_says_what_to_try(in_process: Command, tmp_path: Path, lr: str) -> None:
    done = in_process("train", *QUICK, "--lr", lr, "--epochs", "30", "--workspace", tmp_path)
    if done.returncode == 0:
        pytest.fail("a learning rate of a million trained without a word")
    assert "lower the learning rate: --lr 100000" in done.stderr
    assert not list((tmp_path / "checkpoints").iterdir()), "nothing to resume: it would diverge again"
