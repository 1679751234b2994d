"""Unlabelled frames: what is read, what is left out, and that no image which judges the network is among them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import random_images, write_images, write_split_images
from PIL import Image

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.training import data
from edgebench.training.data import frames
from edgebench.training.data.sources import Decoding

SIZE = 8


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_split_images(tmp_path / "robots")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five frames, two of them in a folder inside."""
    root = tmp_path / "drive"
    (root / "monday").mkdir(parents=True)
    for i, image in enumerate(random_images(5, 12, seed=99)):
        Image.fromarray(image).save((root / "monday" if i < 2 else root) / f"{i}.png")
    (root / "notes.txt").write_text("no image")
    return root


def read(folder: Path, dataset: Path, **decoding: bool) -> frames.Frames:
    splits = data.load(str(dataset), "full", SIZE, 0)
    return frames.read(folder, splits, SIZE, Decoding(**decoding), dataset=str(dataset))


@pytest.mark.parametrize("stream", [False, True])
def test_each_size_of_a_frame_is_made_from_its_file(folder: Path, dataset: Path, stream: bool) -> None:
    found = read(folder, dataset, stream=stream)
    originals = sorted(folder.rglob("*.png"), key=lambda path: str(path.relative_to(folder)))
    for images, size in ((found.images, SIZE), (found.at(12, None), 12), (found.at(20, None), 20)):
        expected = [np.asarray(Image.open(p).resize((size, size), Image.Resampling.BILINEAR)) for p in originals]
        assert np.array_equal(images[:], np.stack(expected))
    assert (found.known, found.copies, found.skipped) == (0, 0, ())


def test_the_hash_is_of_exactly_the_frames(folder: Path, dataset: Path) -> None:
    before = read(folder, dataset).sha256
    shutil.copytree(folder, moved := folder.parent / "elsewhere")
    assert read(moved, dataset).sha256 == before, "the hash does not depend on the place"
    Image.fromarray(random_images(1, 12, seed=5)[0]).save(folder / "0.png")
    assert read(folder, dataset).sha256 != before


def test_copies_and_training_images_are_left_out_and_counted(folder: Path, dataset: Path) -> None:
    alone = read(folder, dataset)
    shutil.copy(folder / "4.png", folder / "a copy.png")
    Image.open(folder / "3.png").save(folder / "saved anew.bmp")
    for path in sorted((dataset / "train" / "cat").iterdir())[:2]:
        shutil.copy(path, folder / f"cat {path.name}")
    found = read(folder, dataset)
    assert (len(found.images), found.known, found.copies) == (5, 2, 2)
    assert len(alone.images) == 5


@pytest.mark.parametrize("split, folder_name", [("test", "test"), ("validation", "val")])
@pytest.mark.parametrize("anew", [False, True], ids=["a copy", "saved anew"])
def test_images_that_judge_the_network_are_refused(
    split: str, folder_name: str, anew: bool, folder: Path, dataset: Path
) -> None:
    """Their bytes may be others: the pixels count."""
    for i, path in enumerate(sorted((dataset / folder_name).rglob("*.png"))):
        Image.open(path).save(folder / f"x{i}.bmp") if anew else shutil.copy(path, folder / f"x{i}.png")
    with pytest.raises(UsageError) as raised:
        read(folder, dataset)
    count = len(list((dataset / folder_name).rglob("*.png")))
    assert f"{count} of the {5 + count} images in" in raised.value.message
    assert f"are {split} images of the dataset robots (x0" in raised.value.message
    assert f"and {count - 3} more" in raised.value.message and "move them" in raised.value.fix


def test_a_broken_frame_is_named_or_skipped(folder: Path, dataset: Path) -> None:
    (folder / "z.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    with pytest.raises(BadFile, match=r"1 of 6 images cannot be decoded.*z\.png"):
        read(folder, dataset)
    found = read(folder, dataset, skip_broken=True)
    assert len(found.images) == len(found.at(12, None)) == 5 and found.skipped == ("z.png",)


def test_links_are_followed_as_in_a_dataset(folder: Path, dataset: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a.png").symlink_to(folder / "2.png")
    (linked / "round").symlink_to(linked)
    assert len(read(linked, dataset).images) == 1


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda root, dataset: root / "nowhere", "is no folder"),
        (lambda root, dataset: dataset / "train" / "cat" / "000.png", "is a file"),
        (lambda root, dataset: (root / "empty").mkdir() or root / "empty", "holds no images"),
        (lambda root, dataset: dataset, "is the dataset itself"),
        (lambda root, dataset: dataset / "train", "is a training image already"),
        (lambda root, dataset: dataset / "test" / "owl", "are test images of the dataset robots"),
    ],
)
def test_folders_that_cannot_be_used(make, says: str, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match=says) as raised:
        read(make(tmp_path, dataset), dataset)
    assert raised.value.fix


def test_a_folder_of_broken_images_alone(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"no")
    with pytest.raises(BadFile, match="none of the 1 images"):
        read(tmp_path / "broken", dataset, skip_broken=True)


def test_a_listing_changes_with_its_files(tmp_path: Path) -> None:
    root = write_images(tmp_path / "drive", 2)
    before = frames.listing_sha256(root)
    assert frames.listing_sha256(root) == before
    (root / "cat" / "001.png").unlink()
    assert frames.listing_sha256(root) != before
