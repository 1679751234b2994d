"""Classifiers of frozen features: what each can separate, and that they are tuned on validation alone."""

from __future__ import annotations

import numpy as np
import pytest

from edgebench.records.heads import FrozenFeatures, TunedHead
from edgebench.training import heads
from edgebench.training.heads import Labelled


def blobs(count: int, seed: int, width: int = 8, classes: int = 3) -> Labelled:
    """Classes that lie around points of their own, in float16 as the cache has them, far from 0 and unlike in scale."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(classes, width)) * 3
    labels = np.arange(count) % classes
    spread = np.logspace(-1, 1, width)
    return Labelled(((centres[labels] + random.normal(size=(count, width))) * spread + 20).astype(np.float16), labels)


def rings(count: int, seed: int) -> Labelled:
    """Two classes, one around the other: no plane divides them."""
    random = np.random.default_rng(seed)
    labels, angles = np.arange(count) % 2, random.uniform(0, 2 * np.pi, count)
    radii = 1 + 2 * labels + random.normal(0, 0.1, count)
    return Labelled(np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1).astype(np.float16), labels)


def test_the_linear_head_reads_the_features_as_they_are() -> None:
    head = heads.linear(blobs(60, 0), blobs(30, 1), 3)
    assert head.weight.shape == (3, 8)
    assert head.told.validation_accuracy == head.accuracy(blobs(30, 1)) > 0.9
    assert head.accuracy(blobs(300, 2)) > 0.9
    assert head.told.setting["l2"] in heads.L2
    assert head.told.images == 60


def test_a_feature_that_never_changes_does_no_harm() -> None:
    train, judged = blobs(60, 0), blobs(30, 1)
    train.features[:, 0] = judged.features[:, 0] = 5
    head = heads.linear(train, judged, 3)
    assert np.isfinite(head.weight).all()
    assert head.told.validation_accuracy > 0.9


def test_the_penalty_is_chosen_on_validation() -> None:
    """Features of noise: the less the head learns of the training images, the better it is on others."""
    random = np.random.default_rng(0)
    noise = Labelled(random.normal(size=(40, 60)).astype(np.float16), np.arange(40) % 2)
    judged = Labelled(random.normal(size=(400, 60)).astype(np.float16), np.arange(400) % 2)
    agreeing = heads.linear(noise, noise, 2).told
    other = heads.linear(noise, judged, 2).told
    assert agreeing.validation_accuracy == 1.0
    assert other.validation_accuracy < 0.6


def test_a_kernel_and_neighbours_separate_what_no_plane_does() -> None:
    train, judged = rings(100, 0), rings(60, 1)
    assert heads.linear(train, judged, 2).told.validation_accuracy < 0.8
    assert heads.kernel(train, judged, 2).validation_accuracy == 1.0


def test_neighbours_vote_by_the_angle_of_the_features() -> None:
    random = np.random.default_rng(0)
    directions, labels = np.eye(4)[np.arange(40) % 4], np.arange(40) % 4
    scaled = directions * random.uniform(1, 100, (40, 1)) + random.normal(0, 0.01, (40, 4))
    some = Labelled(scaled.astype(np.float16), labels)
    head = heads.neighbours(some, some, 4)
    assert head.validation_accuracy == 1.0
    assert head.setting["neighbours"] <= 20


def test_few_images_are_enough() -> None:
    train, judged = blobs(3, 0), blobs(3, 1)
    for head in (
        heads.linear(train, judged, 3).told,
        heads.neighbours(train, judged, 3),
        heads.kernel(train, judged, 3),
    ):
        assert 0 <= head.validation_accuracy <= 1


@pytest.mark.parametrize(("kernel", "best"), [(0.9, "kernel"), (0.8, "linear")])
def test_of_equal_heads_the_one_that_can_be_exported_is_best(kernel: float, best: str) -> None:
    made = [
        TunedHead(kind=kind, validation_accuracy=accuracy, images=1, seconds=0.0)
        for kind, accuracy in (("linear", 0.8), ("kernel", kernel))
    ]
    frozen = FrozenFeatures(
        width=1, mirrored=False, runtime="r", version="1", heads=tuple(made), computed=0, seconds=0.0
    )
    assert frozen.best.kind == best


def test_a_balanced_head_finds_the_rare_class() -> None:
    """Two classes that overlap, 95 to 5: the plain head answers the frequent one nearly everywhere."""
    random = np.random.default_rng(0)

    def mixed(count: int) -> Labelled:
        labels = (np.arange(count) % 20 == 0).astype(np.int64)
        return Labelled((random.normal(size=(count, 2)) + labels[:, None]).astype(np.float16), labels)

    train, judged, other = mixed(400), mixed(200), mixed(2000)
    recall = {
        balanced: heads.linear(train, judged, 2, balanced=balanced).accuracy(
            Labelled(other.features[other.labels == 1], other.labels[other.labels == 1])
        )
        for balanced in (False, True)
    }
    assert recall[False] < 0.3 and recall[True] > 0.6
