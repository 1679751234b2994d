"""The embedded digits: splits that share no image and hold each class in proportion, sizes that are one message."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from datasets import hashes, parts, per_class

from edgebench.errors import UsageError
from edgebench.training import data
from edgebench.training.data import Splits, subset_count

DIGITS = 1797
POOL = 1437  # what is left of the digits when the test split is taken out


@cache
def digits(subset: str = "full", seed: int = 0) -> Splits:
    return data.load("digits", subset, 8, seed)  # at their own size: nothing is resized


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("subset", ["full", "0.1", "500", "20", "1430"])
def test_no_image_is_in_two_splits_nor_twice_in_one(subset: str, seed: int) -> None:
    found = [digest for part in parts(digits(subset, seed)) for digest in hashes(part)]
    assert len(found) == len(set(found))


def test_the_full_set_is_all_images() -> None:
    assert sum(map(len, parts(digits()))) == DIGITS
    assert len(digits().train) + len(digits().validation) == POOL


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("subset", ["full", "0.1", "500", "20", "33", "1000", "1400"])
def test_each_class_has_its_share_within_one_image(subset: str, seed: int) -> None:
    splits, full = digits(subset, seed), digits()
    used = per_class(splits.train, splits.validation)
    pool = per_class(full.train, full.validation)
    cuts = [
        (per_class(splits.test), per_class(*parts(full))),
        (used, pool),
        (per_class(splits.train), used),
        (per_class(splits.validation), used),
    ]
    for part, whole in cuts:  # each cut, against what it was cut from
        assert np.abs(part - whole / whole.sum() * part.sum()).max() <= 1
        assert part.min() >= 1


@pytest.mark.parametrize("subset", [str(count) for count in range(20, 61, 3)])
def test_a_tiny_subset_holds_each_class_in_training_and_in_validation(subset: str) -> None:
    splits = digits(subset)
    assert per_class(splits.train).min() >= 1
    assert per_class(splits.validation).min() >= 1


@pytest.mark.parametrize("subset", ["full", "0.1", "20", "1430"])
def test_the_sizes_are_those_asked_for(subset: str) -> None:
    splits = digits(subset)
    count = subset_count(subset, POOL, 10)
    assert len(splits.train) + len(splits.validation) == count
    assert abs(len(splits.validation) - count / 8) <= 10
    info = splits.info
    assert (info.train, info.validation, info.test) == tuple(map(len, parts(splits)))
    assert info.classes == tuple("0123456789") and info.dataset == "digits"


@pytest.mark.parametrize("subset", ["0.1", "500", "20"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_seed_and_subset_is_judged_on_the_same_images(subset: str, seed: int) -> None:
    np.testing.assert_array_equal(digits(subset, seed).test.images, digits().test.images)
    np.testing.assert_array_equal(digits(subset, seed).test.labels, digits().test.labels)


def test_the_hash_tells_which_images_were_used() -> None:
    again = data.load("digits", "500", 8, 0)
    assert again.info == digits("500").info
    for part, same in zip(parts(again), parts(digits("500")), strict=True):
        np.testing.assert_array_equal(part.images, same.images)
    known = {digits(subset, seed).info.indices_sha256 for subset in ("full", "0.1", "500", "20") for seed in (0, 1, 2)}
    assert len(known) == 12
    assert all(len(digest) == 64 for digest in known)


def test_the_hash_does_not_depend_on_the_image_size() -> None:
    assert data.load("digits", "20", 16, 0).info == digits("20").info


def test_a_seed_changes_the_images() -> None:
    assert set(hashes(digits("100", 0).train)) != set(hashes(digits("100", 1).train))


def test_images_are_uint8_rgb_at_the_size_asked_for() -> None:
    for size in (8, 12, 64):
        for part in parts(data.load("digits", "20", size, 0)):
            assert part.images.dtype == np.uint8 and part.images.shape == (len(part), size, size, 3)
            assert part.labels.dtype == np.int64
    assert digits().train.images.max() == 255, "16 is white"


def test_the_labels_are_those_of_the_images() -> None:
    """A nearest-neighbour classifier finds the digits, which it could not if labels and images were out of step."""
    train, test = digits().train, digits().test
    flat, wanted = (part.images[..., 0].reshape(len(part), -1).astype(np.float32) for part in (train, test))
    distances = (wanted**2).sum(1)[:, None] - 2 * wanted @ flat.T + (flat**2).sum(1)
    assert (train.labels[distances.argmin(axis=1)] == test.labels).mean() > 0.97


def test_resizing_keeps_the_mean_and_the_orientation() -> None:
    images = np.zeros((1, 8, 8, 3), np.uint8)
    images[:, :4, :, 0] = 200  # the upper half is red
    large = data.resize(images, 32)[0]
    assert large.dtype == np.uint8
    assert large[:12, :, 0].min() > 190 and large[20:, :, 0].max() < 10 and large[..., 1:].max() == 0
    assert abs(float(large.mean()) - float(images.mean())) < 1


@pytest.mark.parametrize(
    "subset", ["0", "-5", "1.5", "nan", "inf", "-inf", "many", "", "0.0", "-0.1", "1e3", "10%", "1/2"]
)
def test_what_is_no_size(subset: str) -> None:
    with pytest.raises(UsageError, match="is not a size") as caught:
        data.load("digits", subset, 8, 0)
    assert repr(subset) in caught.value.message
    assert all(word in caught.value.fix for word in ("full", "500", "0.1"))


@pytest.mark.parametrize("subset", ["1438", "1797", "100000000"])
def test_more_than_there_are(subset: str) -> None:
    with pytest.raises(UsageError, match=f"{subset} images is larger than the 1437") as caught:
        data.load("digits", subset, 8, 0)
    assert "1437" in caught.value.fix


@pytest.mark.parametrize("subset", ["1", "19", "0.001", "1e-9"])
def test_fewer_than_the_classes_need(subset: str) -> None:
    with pytest.raises(UsageError, match="too small for 10 classes") as caught:
        data.load("digits", subset, 8, 0)
    assert "20" in caught.value.fix
