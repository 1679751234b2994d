"""The settings of a training run: from flags, from a TOML file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.commands.train import command
from edgebench.errors import EdgebenchError, UsageError
from edgebench.records import recipe, toml
from edgebench.records.recipe import TrainConfig, absolute


def parsed(*arguments: str) -> dict[str, Any]:
    """What the command would be given, without running it."""
    return command.make_context("train", list(arguments)).params


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return str(path)


def test_flags_come_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    file = written(
        tmp_path, 'model = "resnet18"\nbatch_size = 32\nflip = false\namp = "bf16"\nlr = 0.01\nfreeze = true\n'
    )
    found = parsed("--config", file, "--batch-size", "16", "--epochs", "3")
    expected = {"model": "resnet18", "flip": False, "amp": "bf16", "lr": 0.01, "freeze": True}
    assert expected.items() <= found.items()
    assert (found["batch_size"], found["epochs"], found["seed"]) == (16, 3, TrainConfig().seed)


def test_the_defaults_of_the_command_are_those_of_the_recipe() -> None:
    found = parsed()
    assert TrainConfig(**{name: found[name] for name in TrainConfig.__dataclass_fields__}) == TrainConfig()


@pytest.mark.parametrize(
    ("text", "says", "fix"),
    [
        ("batchsize = 3", "unknown setting 'batchsize'", "did you mean batch_size"),
        ("epochs = [1, 2]", "epochs is not a single value", "epochs = 20"),
        ("epochs = ", "is not TOML", "one setting a line"),
        ("config = 'other.toml'", "unknown setting 'config'", ""),
    ],
)
def test_a_bad_file_is_one_clear_message(tmp_path: Path, text: str, says: str, fix: str) -> None:
    with pytest.raises(EdgebenchError) as raised:
        parsed("--config", written(tmp_path, text))
    assert says in raised.value.message and "recipe.toml" in raised.value.message
    assert fix in raised.value.fix


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match=r"nowhere\.toml cannot be read"):
        parsed("--config", str(tmp_path / "nowhere.toml"))


@given(
    st.builds(
        TrainConfig,
        model=st.text(max_size=30),
        dataset=st.text(st.characters(codec="utf-8"), max_size=30),
        lr=st.none() | st.floats(1e-9, 1e3),
        ema=st.floats(0, 0.9999),
        flip=st.none() | st.booleans(),
        threads=st.none() | st.integers(1, 64),
    )
)
def test_what_a_checkpoint_records_can_be_fed_back_in(config: TrainConfig) -> None:
    assert TrainConfig(**toml.loads(recipe.to_toml(config))) == config


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"epochs": 0}, "--epochs is 0"),
        ({"batch_size": 1}, "--batch-size is 1"),
        ({"lr": 0.0}, "--lr is 0"),
        ({"lr": float("nan")}, "--lr is nan"),
        ({"ema": 1.0}, "--ema is 1"),
        ({"mixup": -0.1}, "--mixup is -0.1"),
        ({"shift": 0.7}, "--shift is 0.7"),
        ({"accumulate": 0}, "--accumulate is 0"),
        ({"clip_grad": 0.0}, "--clip-grad is 0"),
        ({"patience": 0}, "--patience is 0"),
        ({"layer_decay": 0.0}, "--layer-decay is 0"),
        ({"init": "pretraned"}, "is neither auto, random, pretrained nor"),
        ({"init": "weights/"}, "is neither auto"),
        ({"init": "random", "freeze": True}, "head of a random network"),
    ],
)
def test_settings_that_no_run_can_use_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        TrainConfig(**settings).check()
    assert says in raised.value.message and raised.value.fix


def test_the_name_of_a_dataset_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a folder of that name is: `train` once took the folder where `find` gave the digits."""
    for name in ("digits", "photos"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute(TrainConfig()).dataset == "digits"
    assert absolute(TrainConfig(dataset="photos")).dataset == str(tmp_path / "photos")
    assert absolute(TrainConfig(dataset="./digits")).dataset == str(tmp_path / "digits")
