"""Which size images are trained at: one rule for `train` and `pick`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgebench.records.recipe import TrainConfig
from edgebench.training import data, setup, sizing


@pytest.mark.parametrize(("side", "size"), [(20, 32), (32, 32), (47, 40), (100, 96), (900, 224)])
def test_images_are_trained_at_their_usual_size_and_learned_weights_at_theirs(
    side: int, size: int, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            pixels = np.random.default_rng(i).integers(0, 255, (side, side + 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    config = TrainConfig(dataset=str(tmp_path))
    dataset = data.of(config)
    random, learned = SimpleNamespace(learned=False), SimpleNamespace(learned=True)
    assert setup._image_size(config, dataset, random)[0] == sizing.usual(dataset) == size
    assert "usual size" in setup._image_size(config, dataset, random)[1]
    assert setup._image_size(config, dataset, learned) == (224, "for learned weights; --image-size says otherwise")
    assert setup._image_size(replace(config, image_size=64), dataset, random) == (64, "as asked")


def test_digits_have_a_size_of_their_own() -> None:
    assert sizing.usual(data.of(TrainConfig(dataset="digits"))) == 16
