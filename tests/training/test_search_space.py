"""The settings that a search tries: the recipe itself, and others around it, drawn by the seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import write_images
from hypothesis import given
from hypothesis import strategies as st

from edgebench.records.recipe import TrainConfig
from edgebench.training import data, search_space, searching

RECIPE = TrainConfig(lr=0.005)


@given(st.integers(2, 40), st.integers(0, 5), st.integers(10, 5000))
def test_settings_stay_in_their_ranges_and_make_recipes_that_can_be_trained(count: int, seed: int, images: int) -> None:
    config = TrainConfig(lr=0.005, seed=seed)
    settings = search_space.drawn(config, count, images)
    assert len(settings) == count and settings == search_space.drawn(config, count, images)
    assert settings[0] == {name: getattr(config, name) for name in search_space.names()}
    for each in settings:
        TrainConfig(**each).check()
        assert 0.005 / 5 <= each["lr"] <= 0.005 * 5 * 1.01 and 0.0019 <= each["weight_decay"] <= 0.202
        assert each["batch_size"] == 64 or (each["batch_size"] in (32, 128) and each["batch_size"] <= images / 8)


def test_few_settings_cover_the_whole_range_of_the_learning_rate() -> None:
    rates = sorted(each["lr"] for each in search_space.drawn(RECIPE, 5, 1000)[1:])
    bounds = [0.005 * 5 ** (n / 2 - 1) for n in range(5)]
    assert all(low * 0.99 <= rate <= high * 1.01 for low, rate, high in zip(bounds, rates, bounds[1:], strict=False))


def test_another_seed_draws_others_and_a_rate_of_zero_stays_one() -> None:
    assert search_space.drawn(RECIPE, 3, 1000) != search_space.drawn(TrainConfig(lr=0.005, seed=1), 3, 1000)
    without = search_space.drawn(TrainConfig(lr=0.005, weight_decay=0.0), 5, 1000)
    assert {each["weight_decay"] for each in without} == {0.0}


@pytest.mark.parametrize("stream", [False, True])
def test_a_search_has_no_test_images_of_a_folder(stream: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    splits = data.load(str(write_images(tmp_path / "animals", 10)), "full", 16, 0, stream=stream)
    without = searching.without_test(splits)
    assert len(without.test) == 0 and without.test.images[:].shape == (0, 16, 16, 3)
    assert without.validation is splits.validation
