"""`--search`: what it compares and records, that it sees no test image, and that it goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY

from edgebench.errors import EdgebenchError, UsageError
from edgebench.records import toml
from edgebench.records.recipe import TrainConfig
from edgebench.specs import Artifact
from edgebench.training import data, loop, search_space, searching
from edgebench.training.listening import Listener, TrainingStep

# A network of a few hundred weights: what is tested is the search.
NET = f"{REPOSITORY / 'tests' / 'plugins' / 'nets' / 'plugged_nets.py'}:build"
RECIPE = TrainConfig(
    model=NET, subset="100", image_size=16, batch_size=16, epochs=4, init="random", floor=False, search=4
)


@pytest.fixture(scope="module", autouse=True)
def short() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "LEAST_STEPS", 3)
        yield


class Locked:
    """Test images that fail the test if anybody looks at them too early."""

    def __init__(self, images: np.ndarray) -> None:
        self.images, self.open = images, False

    def __len__(self) -> int:
        return len(self.images)

    def __getattr__(self, name: str) -> Any:
        assert self.open, f"the search looked at {name} of the test images"
        return getattr(self.images, name)

    def __getitem__(self, chosen: Any) -> np.ndarray:
        assert self.open, "the search looked at test images"
        return self.images[chosen]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, list[str], list[str]]:
    """A checkpoint that a search came before, what it said, and which training each step was part of."""
    said, parts, locked = [], [], []

    def load(*arguments: Any, **options: Any) -> data.Splits:
        splits = data.splitting.load(*arguments, **options)
        locked.append(Locked(splits.test.images))
        return replace(splits, test=data.Images(locked[-1], splits.test.labels))

    def say(sentence: str) -> None:
        said.append(sentence)
        if "it is trained from the start now" in sentence:
            locked[-1].open = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", load)
        listener = Listener(say=say, on_step=lambda step: parts.append(step.part))
        made = loop.train(RECIPE, tmp_path_factory.mktemp("searched") / "made", listener=listener)
    return made, said, list(dict.fromkeys(parts))


def test_each_setting_is_recorded_with_where_it_ended(searched: tuple[Artifact, list[str], list[str]]) -> None:
    search = searched[0].training.search
    assert search.rungs == (4, 3) and [len(trial.accuracies) for trial in search.trials].count(2) == 3
    assert search.unit == "epochs" and 0 < search.lengths[0] < search.lengths[1] <= 4
    assert search.validation_images == searched[0].training.data.validation
    assert search.best.accuracies[1] == max(t.accuracies[1] for t in search.trials if len(t.accuracies) == 2)
    assert search.seconds >= sum(trial.seconds for trial in search.trials) > 0
    assert search.given.settings["lr"] == 0.001 and search.given.settings["batch_size"] == 16


def test_the_recipe_that_was_found_gives_the_same_checkpoint_without_a_search(
    searched: tuple[Artifact, list[str], list[str]], tmp_path: Path
) -> None:
    """And no test image was looked at: see Locked."""
    made = searched[0]
    config = TrainConfig(**toml.read(made.path / "config.toml", example=""))
    assert config == made.training.config and config.search is None
    assert made.training.search.best.settings == {n: getattr(config, n) for n in search_space.names()}
    again = loop.train(config, tmp_path / "again")
    assert again.files["weights.safetensors"] == made.files["weights.safetensors"]


def test_progress_tells_the_rung_and_the_setting(searched: tuple[Artifact, list[str], list[str]]) -> None:
    _, said, parts = searched
    assert parts == [f"search 1/2, setting {n}/4" for n in range(1, 5)] + [
        f"search 2/2, setting {n}/3" for n in range(1, 4)
    ] + [""]  # fmt: skip
    assert sum("% on validation; lr " in sentence for sentence in said) == 7


def interrupt(step: TrainingStep) -> None:
    """Ctrl-C in the third training of the search."""
    if step.part == "search 1/2, setting 3/4":
        raise KeyboardInterrupt


def test_a_search_that_was_stopped_goes_on(searched: tuple[Artifact, list[str], list[str]], tmp_path: Path) -> None:
    out, said, parts = tmp_path / "made", [], []
    stopped = Listener(say=said.append, on_step=interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.train(RECIPE, out, listener=stopped)
    assert any("what was done is kept, --resume goes on" in sentence for sentence in said)
    assert not out.exists()
    with pytest.raises(UsageError, match="the unfinished run has --search 4, not 5"):
        loop.train(replace(RECIPE, search=5), out, resume=True)
    resumed = loop.train(
        RECIPE, out, resume=True, listener=Listener(on_step=lambda step: parts.append(step.part))
    )  # fmt: skip
    assert parts[0] == "search 1/2, setting 3/4", "what was done is not done again"
    found, whole = resumed.training.search, searched[0].training.search
    assert [trial.accuracies for trial in found.trials] == [trial.accuracies for trial in whole.trials]
    assert resumed.files["weights.safetensors"] == searched[0].files["weights.safetensors"]


def test_a_setting_that_diverges_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = search_space.drawn

    def wild(*arguments: Any) -> tuple[dict[str, Any], ...]:
        return drawn(*arguments)[0], drawn(*arguments)[1] | {"lr": 1e30}

    monkeypatch.setattr(search_space, "drawn", wild)
    search = loop.train(replace(RECIPE, search=2), tmp_path / "made").training.search
    assert search.chosen == 0 and "the loss became" in search.trials[1].failed and not search.trials[1].accuracies
    monkeypatch.setattr(search_space, "drawn", lambda *given: [drawn(*given)[0] | {"lr": 1e30}] * 2)
    with pytest.raises(EdgebenchError, match="no setting of the search could be trained: the loss became"):
        loop.train(replace(RECIPE, search=2), tmp_path / "none")


def test_a_search_in_a_time_gets_half_of_it(tmp_path: Path) -> None:
    said: list[str] = []
    config = replace(RECIPE, search=2, minutes=5, epochs=1)
    made = loop.train(config, tmp_path / "made", listener=Listener(say=said.append))
    search = made.training.search
    assert search.unit == "s" and 30 < search.lengths[0] < 75, "half of five minutes, for two settings"
    assert made.training.course.pace and made.training.config.minutes == 5
    with pytest.raises(UsageError, match=r"--search 900 does not fit into --minutes 0\.1: a setting would get") as told:
        loop.train(replace(config, search=900, minutes=0.1), tmp_path / "short")
    assert "--minutes " in told.value.fix and "or more" in told.value.fix
    assert not (tmp_path / "short").exists()


def test_a_search_whose_time_is_over_chooses_from_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    true = searching.bounds
    short = lambda *parts, **named: replace(true(*parts, **named), until=named["clock"]() + 0.001)  # noqa: E731
    monkeypatch.setattr(searching, "bounds", short)
    made = loop.train(
        replace(RECIPE, search=5, minutes=30, epochs=1), tmp_path / "made", listener=Listener(say=said.append)
    )
    search = made.training.search
    assert len(search.rungs) == len(search.lengths) == 1 and 0 <= search.lengths[0] < 0.001
    accuracies = [trial.accuracies[0] for trial in search.trials]
    assert search.chosen == accuracies.index(max(accuracies))
    assert "the search's time is over after 1 of 2 rungs" in said


def test_a_search_of_one_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="--search is 1") as told:
        replace(RECIPE, search=1).check()
    assert told.value.fix == "give at least 2"
