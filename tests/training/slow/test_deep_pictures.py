"""A training on thermal pictures of 16 bits: it learns, and all that follows sees the pixels that training saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasters

from edgebench import artifact
from edgebench.measuring import testset
from edgebench.records.recipe import TrainConfig
from edgebench.training import checkpoint
from edgebench.training.data import decoding
from edgebench.training.loop import Listener, train

LOW, HIGH, SIZE = 7900, 8020, 24


def write_thermal(root: Path, count: int = 40) -> Path:
    """Warm spots at the left or at the right, of 120 values among 65,536."""
    random = np.random.default_rng(0)
    for name, x in (("left", 8), ("right", 24)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            xs, ys = np.meshgrid(np.arange(32), np.arange(32))
            spot = np.exp(-((xs - x) ** 2 + (ys - random.integers(8, 24)) ** 2) / 30)
            values = LOW + (HIGH - LOW) * spot + random.normal(0, 4, (32, 32))
            (root / name / f"{i}.png").write_bytes(rasters.deep(values.astype(np.uint16), "PNG"))
    return root


def test_thermal_pictures_are_learned_and_seen_alike_everywhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    root, said = write_thermal(tmp_path / "thermal"), []
    config = TrainConfig(
        model="test_resnet", dataset=str(root), image_size=SIZE, epochs=6, batch_size=16, init="random", floor=False,
        threads=1, flip=False,
    )  # fmt: skip
    made = train(config, tmp_path / "made", listener=Listener(say=said.append))
    levels = made.preprocessing.levels
    assert levels and LOW - 20 < levels.low < LOW + 20 and HIGH - 20 < levels.high < HIGH + 20
    assert any("have more than 8 bits" in sentence for sentence in said)
    assert made.training.test_accuracy > 0.8
    assert json.loads((tmp_path / "made" / "checkpoint.json").read_text())["preprocessing"]["levels"]

    alone = {decoding.decode(path, SIZE, levels).tobytes() for path in root.glob("*/*.png")}
    checkpoint.write_split(made, tmp_path / "split.npz", lambda done, total: None)
    calibration = checkpoint.calibration(made, 8, lambda done, total: None)
    with testset.opened(tmp_path / "split.npz", made) as test:
        tested = np.concatenate(list(test.images))
    references = artifact.read_reference(made).images
    for images in (tested, references, calibration.images, calibration.validation_images):
        assert len(images) and {image.tobytes() for image in np.asarray(images)} <= alone
        assert np.ptp(images) > 200
