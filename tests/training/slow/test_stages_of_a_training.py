"""Trainings with a time and with learned weights: what they record, and that they resume to the same weights."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from edgebench.errors import UsageError
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact
from edgebench.training import loop
from edgebench.training.listening import Listener, TrainingStep
from edgebench.training.models import resolve

SMALL = {"model": "test_resnet", "subset": "100", "image_size": 16, "batch_size": 16, "floor": False}


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, list[str]]:
    said: list[str] = []
    config = TrainConfig(**SMALL, minutes=5, epochs=2)
    return loop.train(config, tmp_path_factory.mktemp("timed") / "made", listener=Listener(say=said.append)), said


def test_a_time_is_planned_from_measured_steps_and_recorded(timed: tuple[Artifact, list[str]]) -> None:
    made, said = timed
    training, course = made.training, made.training.course
    assert training.config.epochs == course.epochs == 2, "--epochs is the most"
    assert course.pace.sizes == (16,) and min(course.pace.steps_s) > 0
    assert set(course.pace.amp_s) == {"none", "bf16"} and training.config.amp in course.pace.amp_s
    assert training.config.ema > 0 and course.statistics is not None
    assert any("--minutes 5: 2 epochs" in sentence and "360 test images" in sentence for sentence in said)


def test_a_time_that_is_too_short_is_refused_with_one_that_is_enough(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--minutes 0\.1 is too short: start and end take") as raised:
        loop.train(TrainConfig(**SMALL, minutes=0.1), tmp_path / "made", began=time.monotonic() - 60)
    enough = re.match(r"--minutes ([\d.]+) or more", raised.value.fix)
    assert enough and float(enough[1]) > 1 and not (tmp_path / "made").exists()


def test_learned_weights_get_a_fitted_head_and_resume_to_the_same_weights(
    timed: tuple[Artifact, list[str]], tmp_path: Path
) -> None:
    weights = load_file(timed[0].path / "weights.safetensors")
    save_file(
        {name: tensor for name, tensor in weights.items() if not name.startswith("fc.")}, tmp_path / "w.safetensors"
    )
    config = TrainConfig(**SMALL, epochs=2, init=str(tmp_path / "w.safetensors"))
    whole = loop.train(config, tmp_path / "whole")
    course = whole.training.course
    assert course.head_accuracy > 0.5 and 0 < course.learned_share <= 1
    assert whole.training.config.head_first and whole.training.config.layer_decay < 1

    class Killed(Exception):
        pass

    def kill(step: TrainingStep) -> None:
        if step.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        loop.train(config, tmp_path / "killed", listener=Listener(on_step=kill))
    resumed = loop.train(config, tmp_path / "killed", resume=True)
    assert resumed.files["weights.safetensors"] == whole.files["weights.safetensors"]


def test_a_network_of_one_image_size_is_trained_without_smaller_images(tmp_path: Path) -> None:
    said: list[str] = []
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(f'timm = "{resolve("deit_small")}"\n[arguments]\ndepth = 1\n')
    small = SMALL | {"model": str(narrow), "image_size": 32, "amp": "none"}
    made = loop.train(TrainConfig(**small, minutes=5, epochs=1), tmp_path / "made", listener=Listener(say=said.append))
    assert made.training.config.progressive == 0.0 and made.training.course.pace.sizes == (32,)
    assert any("takes no images of 16 pixels: no smaller images at the beginning" in sentence for sentence in said)
    with pytest.raises(UsageError, match="--progressive begins with smaller images") as raised:
        loop.train(TrainConfig(**small, epochs=1, progressive=0.5), tmp_path / "asked")
    assert raised.value.fix.startswith("--progressive 0")
