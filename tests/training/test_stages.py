"""The stages around the epochs: the fitted head, statistics of averaged weights, averages chosen on validation."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from edgebench.errors import UsageError
from edgebench.training import first_head, stages
from edgebench.training.data import Images


def normalised(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255 - 0.5


def pictures(count: int, seed: int) -> Images:
    """Two classes: bright above, or bright below."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = random.integers(0, 60, (count, 8, 8, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 * label : 4 * label + 4] += 120
    return Images(images, labels.astype(np.int64))


def network() -> nn.Module:
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    return nn.Sequential(*body, nn.Linear(16, 2)).eval()


def test_the_head_is_fitted_and_the_body_stays() -> None:
    model, train, validation = network(), pictures(60, 0), pictures(20, 1)
    before = copy.deepcopy(model.state_dict())
    accuracy = first_head.fit_head(model, train, validation, normalised, flip=True, classes=2)
    found = stages.chosen_average(copy.deepcopy(model), model.state_dict(), validation, normalised, balanced=False)[1]
    assert accuracy == 1.0 == found.accuracy
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"5.weight", "5.bias"}


def test_a_network_without_a_linear_head_is_refused_with_a_fix() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(UsageError) as raised:
        first_head.fit_head(model, pictures(4, 0), pictures(4, 1), normalised, flip=False, classes=2)
    assert raised.value.fix == "--no-head-first"


def test_statistics_are_those_of_the_images() -> None:
    model, train = network(), pictures(60, 0)
    norm = model[1]
    momentum = norm.momentum
    stages.estimate_statistics(model, train, normalised)
    with torch.no_grad():
        seen = model[0](normalised(torch.from_numpy(train.images).permute(0, 3, 1, 2)))
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert norm.momentum == momentum and not norm.training


def test_worse_statistics_are_not_kept() -> None:
    model, train, validation = network(), pictures(60, 0), pictures(20, 1)
    before = copy.deepcopy(model.state_dict())
    assert stages.chosen_statistics(model, train, validation, normalised, score=1.1, balanced=False) is None
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_average_is_chosen_on_validation() -> None:
    start, validation = network(), pictures(20, 1)
    first_head.fit_head(start, pictures(60, 0), validation, normalised, flip=False, classes=2)
    good = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    spoilt = copy.deepcopy(start)
    with torch.no_grad():
        spoilt[5].weight.mul_(-0.5)
        spoilt[5].bias.mul_(-0.5)
    share, found = stages.chosen_average(spoilt, good, validation, normalised, balanced=False)
    assert share == 0.2 and found.accuracy == found.score == 1.0
    expected = stages.averaged(good, {**good, "5.weight": good["5.weight"] * -0.5}, 0.2)["5.weight"]
    torch.testing.assert_close(spoilt.state_dict()["5.weight"], expected)


def test_frozen_statistics_stay_in_training() -> None:
    model = network().train()
    stages.keep_statistics(model)
    before = model[1].running_mean.clone()
    model(torch.randn(4, 3, 8, 8))
    assert torch.equal(model[1].running_mean, before) and model[0].training


def test_where_classes_count_alike_the_score_is_their_mean() -> None:
    """A network that answers 1 whatever it sees, judged by images of which three in four have that class."""
    model, validation = network(), pictures(40, 1)
    rows = np.concatenate([np.flatnonzero(validation.labels == 1)[:15], np.flatnonzero(validation.labels == 0)[:5]])
    unequal = Images(validation.images[rows], validation.labels[rows])
    with torch.no_grad():
        model[5].weight.zero_()
        model[5].bias.copy_(torch.tensor([0.0, 1.0]))
    plain, balanced = (
        stages.chosen_average(model, copy.deepcopy(model.state_dict()), unequal, normalised, balanced=alike)[1]
        for alike in (False, True)
    )
    assert plain.accuracy == plain.score == balanced.accuracy == 0.75 and balanced.score == 0.5
    assert balanced.loss == pytest.approx(np.log(1 + np.exp([-1, 1])).mean(), abs=1e-6)
