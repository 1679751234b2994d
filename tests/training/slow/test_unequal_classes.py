"""A training on classes of very unequal size: what it says of its accuracy, and what --balance changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Command
from PIL import Image

from edgebench import artifact
from edgebench.records.recipe import TrainConfig
from edgebench.training import history, loop

SMALL = ("--model", "test_resnet", "--image-size", "16", "--epochs", "4", "--no-floor", "--init", "random")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 pictures of "ok" and 12 of "defect" beneath the same noise: somewhat darker ones."""
    folder, random = tmp_path_factory.mktemp("unequal") / "parts", np.random.default_rng(0)
    for name, count, grey in (("ok", 120, 130), ("defect", 12, 105)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(random.normal(grey, 25, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png", compress_level=1)
    return folder


def test_it_says_what_its_accuracy_is_worth(in_process: Command, parts: Path, tmp_path: Path) -> None:
    done = in_process("train", "--dataset", parts, *SMALL, "--lr", "1e-7", "--out", tmp_path / "made")
    assert done.returncode == 0, done.stderr
    made = artifact.read(tmp_path / "made").training
    counts = {each.name: each.images for each in made.test_classes}
    assert counts == {"defect": 2, "ok": 25}
    assert sum(each.correct for each in made.test_classes) == round(made.test_accuracy * 27)
    assert "in context: 92.6 % of the test images are 'ok'; balanced accuracy" in done.stdout
    assert "recall, by class:" in done.stdout
    assert "warning: fewer than 10 training images: 'defect' (8)" in done.stdout
    done = in_process("train", "--dataset", parts, *SMALL, "--lr", "1e-7", "--out", tmp_path / "again", "--json")
    told = json.loads(done.stdout)["context"]
    assert told["majority"] == "ok" and told["notices"][-1]["code"] == "few_training_images"


def test_balance_lets_classes_count_alike_and_resumes_to_the_same_weights(parts: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        dataset=str(parts), model="test_resnet", image_size=16, epochs=4, floor=False, init="random", balance=True
    )
    said: list[str] = []
    whole = loop.train(config, tmp_path / "whole", listener=loop.Listener(say=said.append))
    assert "an epoch draws each class about 46 times; 'defect' has the fewest training images: 8" in said
    records = history.read(whole.path / "history.jsonl")
    scores = [record["validation_balanced_accuracy"] for record in records]
    best = max(range(len(scores)), key=lambda i: (scores[i], i))
    assert whole.training.best_epoch == best + 1
    assert whole.training.validation_accuracy == records[best]["validation_accuracy"], (
        "which stays the share that is right"
    )
    assert whole.training.config.balance and "balance = true" in (whole.path / "config.toml").read_text()

    class Killed(Exception):
        pass

    def kill(step: loop.TrainingStep) -> None:
        if step.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        loop.train(config, tmp_path / "killed", listener=loop.Listener(on_step=kill))
    resumed = loop.train(config, tmp_path / "killed", resume=True)
    assert resumed.files["weights.safetensors"] == whole.files["weights.safetensors"]
