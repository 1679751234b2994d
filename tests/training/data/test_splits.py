"""Splits of every kind of dataset: no image in two of them, the same test images for all, subsets within subsets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets import CLASSES, LAYOUTS, hashes, in_turn, parts, random_images, write_cifar, write_idx, write_images
from datasets import write_split_images as write_splits
from PIL import Image

from edgebench.errors import BadFile
from edgebench.training import data
from edgebench.training.data import Splits

SIZES = {"digits": 8} | {name: 28 if "mnist" in name else 32 if "cifar" in name else 12 for name in LAYOUTS}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))


def load(layout: str, root: Path, subset: str = "full", seed: int = 0, **options) -> Splits:
    where = "digits" if layout == "digits" else root / layout
    if layout != "digits" and not where.exists():
        where.symlink_to(LAYOUTS[layout](root / "made"))
    where = layout if layout == "digits" else str(where.resolve())
    return data.load(where, subset, SIZES[layout], seed, **options)


@pytest.mark.parametrize("stream", [False, True], ids=["decoded once", "streamed"])
@pytest.mark.parametrize("layout", SIZES)
def test_train_validation_and_test_share_no_image(layout: str, stream: bool, tmp_path: Path) -> None:
    for subset in ("full", "0.75"):
        splits = load(layout, tmp_path, subset, stream=stream)
        found = [digest for part in parts(splits) for digest in hashes(part)]
        assert len(found) == len(set(found)) and all(map(len, parts(splits)))
        assert splits.info.account.adds_up() and copies(splits) == splits.info.account.count("broken") == 0


@pytest.mark.parametrize("layout", SIZES)
def test_a_smaller_subset_lies_in_a_larger_one_split_by_split(layout: str, tmp_path: Path) -> None:
    small, large, full = (load(layout, tmp_path, subset) for subset in ("0.75", "0.9", "full"))
    for inner, outer in ((small, large), (large, full)):
        assert set(hashes(inner.train)) < set(hashes(outer.train))
        assert set(hashes(inner.validation)) <= set(hashes(outer.validation))


@pytest.mark.parametrize("layout", SIZES)
def test_all_seeds_and_subsets_are_judged_on_the_same_images(layout: str, tmp_path: Path) -> None:
    one, other = load(layout, tmp_path), load(layout, tmp_path, "0.75", 1)
    np.testing.assert_array_equal(one.test.images[:], other.test.images[:])
    np.testing.assert_array_equal(one.test.labels, other.test.labels)
    assert one.info.indices_sha256 != load(layout, tmp_path, "full", 1).info.indices_sha256


@pytest.mark.parametrize("layout", SIZES)
def test_each_split_begins_with_every_class(layout: str, tmp_path: Path) -> None:
    """Checks of an export look at the first test images: they should not all be of one class."""
    for part in parts(load(layout, tmp_path)):
        classes = len(np.unique(part.labels))
        assert len(np.unique(part.labels[: 2 * classes])) == classes


@pytest.mark.parametrize("layout", SIZES)
def test_images_come_by_rows_in_any_order_and_by_slices(layout: str, tmp_path: Path) -> None:
    for part in parts(load(layout, tmp_path)):
        whole = part.images[:]
        rows = np.random.default_rng(0).integers(0, len(part), 7)
        size = SIZES[layout]
        assert len(part.images) == len(part) == len(part.labels) == len(whole)
        assert whole.dtype == np.uint8 and whole.shape == (len(part), size, size, 3) and part.labels.dtype == np.int64
        np.testing.assert_array_equal(part.images[rows], whole[rows])
        np.testing.assert_array_equal(part.images[2:5], whole[2:5])
        assert part.images[np.array([], np.int64)].shape == (0, size, size, 3)


def test_both_layouts_of_cifar_give_the_same_splits(tmp_path: Path) -> None:
    for binary, python in (
        ("cifar-10-batches-bin", "cifar-10-batches-py"),
        ("cifar-100-binary", "cifar-100-python"),
    ):
        one, other = load(binary, tmp_path), load(python, tmp_path)
        assert one.info == other.info
        for part, same in zip(parts(one), parts(other), strict=True):
            np.testing.assert_array_equal(part.images, same.images)
            np.testing.assert_array_equal(part.labels, same.labels)


def test_a_large_array_is_resized_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_cifar(tmp_path / "cifar")
    whole = data.load(str(folder), "full", 40, 0)
    monkeypatch.setattr("edgebench.training.data.sources.IN_MEMORY_BYTES", 0)
    lazy = data.load(str(folder), "full", 40, 0)
    assert lazy.info == whole.info and not isinstance(lazy.train.images, np.ndarray)
    for part, same in zip(parts(lazy), parts(whole), strict=True):
        np.testing.assert_array_equal(part.images[:], same.images)
        np.testing.assert_array_equal(part.images[np.array([3, 1])], same.images[[3, 1]])


# Copies


def with_copies(images: np.ndarray, train: int) -> np.ndarray:
    """Rows 0 and 1 are test images, rows 6, 9 and 12 are row 3, and two test images are alike."""
    images = images.copy()
    images[[0, 1]] = images[[train + 2, train + 5]]
    images[[6, 9, 12]] = images[3]
    images[train + 7] = images[train + 8]
    return images


def copies(splits: Splits) -> int:
    return splits.info.account.count("copy", "copy_of_test", "copy_of_validation")


def assert_no_copies(splits: Splits, duplicates: int) -> None:
    train, validation, test = (hashes(part) for part in parts(splits))
    used = train + validation
    assert len(used) == len(set(used)) and not set(used) & set(test)
    assert splits.info.account.adds_up() and copies(splits) == duplicates


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("fine", [False, True])
def test_copies_in_cifar_are_left_out_of_training(pickled: bool, fine: bool, tmp_path: Path) -> None:
    images = with_copies(random_images(72), 60)
    folder = write_cifar(tmp_path / "cifar", pickled=pickled, fine=fine, images=images)
    splits = data.load(str(folder), "full", 32, 0)
    assert_no_copies(splits, 5)
    assert (splits.info.train + splits.info.validation, splits.info.test) == (55, 12), "the test split stays whole"


def test_copies_in_idx_files_are_left_out_of_training(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "mnist", images=with_copies(random_images(80, 28, 1)[..., 0], 60))
    assert_no_copies(data.load(str(folder), "full", 28, 0), 5)


def copy(source: Path, *targets: Path) -> None:
    for target in targets:
        target.write_bytes(source.read_bytes())


def test_copies_in_class_folders_are_left_out_before_the_split(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", 12)
    for name in CLASSES:
        copy(root / f"{name}/003.png", *(root / f"{name}/{i:03}.png" for i in (5, 7)))
    splits = data.load(str(root), "full", 12, 0)
    assert copies(splits) > 0
    assert_no_copies(splits, 36 - splits.info.train - splits.info.validation - splits.info.test)


def test_copies_between_split_folders_stay_in_test_then_in_validation(tmp_path: Path) -> None:
    root = write_splits(tmp_path / "robots")
    copy(root / "test/cat/001.png", root / "train/cat/001.png", root / "val/cat/001.png")
    copy(root / "val/dog/002.png", root / "train/dog/002.png", root / "val/dog/001.png")
    splits = data.load(str(root), "full", 12, 0)
    assert_no_copies(splits, 4)
    assert (splits.info.train, splits.info.validation, splits.info.test) == (28, 7, 12)


def test_files_of_one_size_and_one_end_are_no_copies(tmp_path: Path) -> None:
    root = tmp_path / "bitmaps"
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True)
        for i in range(6):
            image = np.zeros((64, 64, 3), np.uint8)
            image[60:] = 10 * i + label  # a bitmap begins with its last row
            Image.fromarray(image).save(root / name / f"{i}.bmp")
    assert copies(data.load(str(root), "full", 12, 0)) == 0


def test_a_class_that_consists_of_copies_is_an_error(tmp_path: Path) -> None:
    root = write_splits(tmp_path / "robots", {"train": 4, "test": 2})
    copy(root / "test/cat/001.png", *sorted((root / "train/cat").iterdir())[1:])
    with pytest.raises(BadFile, match=r"'cat' of dataset robots has 1 image \(left out: 3 copies of a test picture\)"):
        data.load(str(root), "full", 12, 0)


def test_the_hash_is_of_the_images_and_not_of_where_they_lie(tmp_path: Path) -> None:
    one, moved = (data.load(str(write_images(tmp_path / name / "animals")), "full", 12, 0) for name in "ab")
    assert one.info == moved.info
    (tmp_path / "b/animals/cat/000.png").rename(tmp_path / "b/animals/cat/another.png")
    other = data.load(str(tmp_path / "b/animals"), "full", 12, 0)
    assert other.info.indices_sha256 != one.info.indices_sha256


def test_rare_classes_are_in_all_splits_of_a_folder_without_any(tmp_path: Path) -> None:
    counts = {"common": 60, "rare": 3, "rarer": 3, "seldom": 4}
    splits = data.load(str(write_images(tmp_path / "animals", counts, size=4)), "full", 8, 0)
    for part in parts(splits):
        assert np.bincount(part.labels, minlength=4).min() >= 1


def test_labels_follow_their_images(tmp_path: Path) -> None:
    images, labels = random_images(72), in_turn(72)
    images[:, 0, 0, 0] = labels  # each image carries its label
    for pickled in (False, True):
        folder = write_cifar(tmp_path / f"cifar{pickled}", pickled=pickled, images=images, labels=labels)
        for part in parts(data.load(str(folder), "full", 32, 0)):
            np.testing.assert_array_equal(part.images[:, 0, 0, 0], part.labels)
