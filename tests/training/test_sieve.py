"""The first look at many candidates: what separates classes, halving, and time that is short."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgebench.records.recipe import TrainConfig
from edgebench.records.sifted import Sieve, Sifted
from edgebench.training import models, sieve

OWN = """import time
from torch import nn

def small(num_classes):
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(32, num_classes))

def blind(num_classes):
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, num_classes))

def headless(num_classes):
    return nn.Sequential(nn.Conv2d(3, num_classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def test_separated_leaves_each_image_out() -> None:
    """As many refits say, one without each image."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 40)
    features = random.normal(size=(40, 10)).astype(np.float32)
    features[:, 0] += labels
    scaled = (features - features.mean(0)) / features.std(0)
    mean = np.linalg.eigvalsh(scaled @ scaled.T).clip(0).mean()
    found = []
    for ridge in sieve.RIDGES:
        right = 0
        for i in range(40):
            others = np.arange(40) != i
            rows, penalty = np.c_[scaled[others], np.ones(39)], ridge * mean * np.eye(11)
            penalty[-1, -1] = 0
            weights = np.linalg.solve(rows.T @ rows + penalty, rows.T @ np.eye(3)[labels[others]])
            right += (np.r_[scaled[i], 1] @ weights).argmax() == labels[i]
        found.append(right / 40)
    assert sieve.separated(features, labels) == pytest.approx(max(found))


def test_noise_and_broken_features_separate_nothing() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(200) % 4
    assert sieve.separated(random.normal(size=(200, 30)), labels) < 0.4
    assert sieve.separated(np.full((200, 3), np.nan), labels) == 0.0
    assert sieve.separated(np.ones((200, 3)), labels) <= 0.25


@dataclass
class Clock:
    """Goes on by `step` at each look."""

    step: float = 0.0
    now: float = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Sieve:
    """Networks with files of weights, and one that has no linear classifier, on the digits."""
    root = tmp_path_factory.mktemp("sieve")
    (root / "own.py").write_text(OWN)
    configs = []
    for name in ("blind", "headless", "small"):
        network, _ = models.build(f"{root / 'own.py'}:{name}", 10, 16, seed=0)
        save_file(network.state_dict(), root / f"{name}.safetensors")
        model, init = f"{root / 'own.py'}:{name}", str(root / f"{name}.safetensors")
        configs.append(TrainConfig(model=model, init=init, image_size=16))
    return Sieve(configs=tuple(configs), planned={}, seconds=100.0)


@pytest.fixture(autouse=True)
def threads() -> None:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def by_name(found: tuple[Sifted, ...]) -> dict[str, Sifted]:
    return {one.model.partition(":")[2]: one for one in found}


def test_the_candidate_that_sees_more_is_first(asked: Sieve) -> None:
    told = []
    answer = sieve.sift(asked, keep=told.append, clock=Clock())
    assert [Path(one.model).name for one in answer.found] == ["own.py:small", "own.py:blind", "own.py:headless"]
    found = by_name(answer.found)
    assert found["small"].accuracy > found["blind"].accuracy > 0.1
    assert (found["small"].images, found["small"].pixels) == (sieve.LEAST_IMAGES, 16)  # few candidates: one round
    assert found["headless"].accuracy is None and "no linear classifier" in found["headless"].why
    assert told[-1].found == answer.found


def test_halves_get_twice_as_many_images(asked: Sieve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "KEPT", 1)
    found = by_name(sieve.sift(asked, clock=Clock()).found)
    assert found["small"].images == 2 * found["blind"].images and found["small"].rounds == 2


def test_without_time_each_candidate_says_so(asked: Sieve) -> None:
    answer = sieve.sift(asked, clock=Clock(step=1000.0))
    assert {one.why for one in answer.found} == {"there was no time to look at its features"}
    assert not any(one.accuracy for one in answer.found)
