"""Folders of images: their layouts, links, broken files, and the cache of decoded images."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import numpy as np
import pytest
from datasets import CLASSES, LAYOUTS, WORDNET, hashes, parts, write_images, write_split_images
from PIL import Image

from edgebench.errors import BadFile, EdgebenchError
from edgebench.training import data
from edgebench.training.data import decoding


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


def load(root: Path, subset: str = "full", size: int = 12, seed: int = 0, **options) -> data.Splits:
    return data.load(str(root), subset, size, seed, **options)


def sizes(splits: data.Splits) -> tuple[int, int, int]:
    return splits.info.train, splits.info.validation, splits.info.test


# Layouts


def test_class_folders_give_a_fifth_to_the_test(tmp_path: Path) -> None:
    found = data.find(str(write_images(tmp_path / "animals", 20)))
    assert (found.name, found.classes, found.image_size, found.flip) == ("animals", CLASSES, 224, True)
    splits = data.load(found, "full", 12, 0)
    assert sizes(splits) == (42, 6, 12)
    assert splits.info.classes == CLASSES and splits.info.dataset == "animals"


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"train": 10, "val": 3, "test": 4}, (30, 9, 12)),
        ({"train": 10, "validation": 3, "test": 4}, (30, 9, 12)),
        ({"train": 10, "test": 4}, (24, 6, 12)),
        ({"train": 10, "val": 3}, (24, 9, 6)),
        ({"train": 10}, (21, 3, 6)),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else None,
)
def test_split_folders_are_the_splits(given: dict[str, int], expected: tuple[int, int, int], tmp_path: Path) -> None:
    splits = load(write_split_images(tmp_path / "robots", given))
    assert sizes(splits) == expected


def test_train_may_be_the_name_of_a_class(tmp_path: Path) -> None:
    root = write_images(tmp_path / "vehicles", {"bus": 10, "car": 10, "train": 10})
    assert load(root).info.classes == ("bus", "car", "train")
    (write_split_images(tmp_path / "robots") / "notes").mkdir()
    assert load(tmp_path / "robots").info.classes == CLASSES


def test_a_subset_leaves_a_validation_folder_whole(tmp_path: Path) -> None:
    root = write_split_images(tmp_path / "robots")
    assert sizes(load(root, "15")) == (15, 9, 12)
    assert sizes(load(root, "3")) == (3, 9, 12)


def test_imagenet_is_judged_on_its_val_folder(tmp_path: Path) -> None:
    root = LAYOUTS["imagenet"](tmp_path)
    (root / "test").mkdir()
    Image.new("RGB", (4, 4)).save(root / "test" / "unlabelled.jpg")
    for found in (data.find("imagenet", tmp_path), data.find(str(root))):
        assert (found.name, found.classes, found.image_size) == ("imagenet", tuple(sorted(WORDNET)), 224)
        assert sizes(data.load(found, "full", 12, 0)) == (16, 2, 6)


def test_images_lie_at_any_depth_and_other_files_are_passed_over(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", 10)
    (root / "cat" / "2024" / "may").mkdir(parents=True)
    for i in range(5):
        (root / "cat" / f"{i:03}.png").rename(root / "cat" / "2024" / "may" / f"{i:03}.PNG")
    for other in ("notes.txt", "Thumbs.db", ".hidden.png", "._000.png", ".cache/x.png"):
        (root / "cat" / other).parent.mkdir(exist_ok=True)
        (root / "cat" / other).write_text("no image")
    (root / ".git").mkdir()
    (root / "README.md").write_text("no class")
    assert sum(sizes(load(root))) == 30


def test_links_are_followed_to_wherever_they_lead(tmp_path: Path) -> None:
    elsewhere, root = write_images(tmp_path / "elsewhere", 10), tmp_path / "linked"
    root.mkdir()
    for name in ("cat", "dog"):
        (root / name).symlink_to(elsewhere / name)
    (root / "owl").mkdir()
    for path in (elsewhere / "owl").iterdir():
        (root / "owl" / path.name).symlink_to(path)
    (root / "owl" / "round").symlink_to(root, target_is_directory=True)
    splits = load(root)
    assert sum(sizes(splits)) == 30
    assert splits.info.indices_sha256 == load(elsewhere).info.indices_sha256


@pytest.mark.parametrize("where", [".", "./animals", "animals/", "../here/animals"])
def test_a_path_may_be_written_in_many_ways(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_images(tmp_path / "here" / "animals")
    expected = load(root).info
    monkeypatch.chdir(root if where == "." else root.parent)
    assert data.load(where, "full", 12, 0).info == expected


# Folders that are no dataset


def refused(root: Path, *words: str, **options) -> None:
    with pytest.raises(BadFile) as caught:
        load(root, **options)
    for word in words:
        assert word in caught.value.message
    assert "\n" not in caught.value.message and caught.value.fix


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", str(tmp_path / "empty"), "no class folders, and no pictures")


def test_a_folder_of_loose_pictures(tmp_path: Path) -> None:
    root = write_split_images(tmp_path / "robots", {"train": 9})
    loose = next((root / "train").iterdir())
    refused(loose, str(loose), "no class folders, only pictures")


def test_one_class_only(tmp_path: Path) -> None:
    refused(write_images(tmp_path / "animals", {"cat": 9}), "only the class 'cat'")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_class_with_too_few_images(count: int, tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", {"cat": 9, "dog": 9, "owl": count})
    had = f"{count} image{'s' * (count != 1)}"
    refused(root, f"class 'owl' of dataset animals has {had}: each class needs at least 3")


@pytest.mark.parametrize(
    "given, needs",
    [
        ({"train": 1, "test": 2}, "at least 2 for training and validation"),
        ({"train": 0, "val": 1, "test": 1}, "at least 1 for training"),
    ],
)
def test_a_split_with_too_few_images(given: dict[str, int], needs: str, tmp_path: Path) -> None:
    refused(write_split_images(tmp_path / "robots", given), "class 'cat'", "(3 classes have fewer)", needs)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_without_images(split: str, tmp_path: Path) -> None:
    refused(write_split_images(tmp_path / "robots", {"train": 9, split: 0}), "has no images in its")


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_class_that_is_not_in_train(split: str, tmp_path: Path) -> None:
    root = write_split_images(tmp_path / "robots", {"train": 9, split: {"cat": 2, "emu": 1}})
    refused(root, str(root / split / "emu"), "do not have")


def test_splits_that_do_not_go_together(tmp_path: Path) -> None:
    refused(write_split_images(tmp_path / "a", {"test": 9, "val": 2}), "has val/ but no train/")
    refused(write_split_images(tmp_path / "b", {"train": 9, "val": 2, "validation": 2}), "both val/ and validation/")
    flat = write_split_images(tmp_path / "c", {"train": 9})
    (flat / "val").mkdir()
    refused(flat, str(flat / "val"), "no class folders")


def test_a_class_that_is_no_text(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals")
    os.mkdir(os.fsencode(root) + b"/\xff")
    refused(root, "not UTF-8")


# Broken images


def broken(tmp_path: Path) -> Path:
    """A truncated image, one that is none, a link to nothing and a picture too large to be meant."""
    root = write_images(tmp_path / "animals", 12, size=40)
    whole = (root / "cat/000.png").read_bytes()
    (root / "cat/000.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog/001.png").write_text("no image")
    (root / "owl/002.png").unlink()
    (root / "owl/002.png").symlink_to(tmp_path / "nothing")
    size = (20_000).to_bytes(4, "little")
    header = b"BM" + bytes(8) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little") + size + size
    (root / "cat/bomb.bmp").write_bytes(header + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24))
    return root


@pytest.mark.parametrize("stream", [False, True])
def test_broken_images_are_named_before_training(stream: bool, tmp_path: Path) -> None:
    root = broken(tmp_path)
    for _ in range(2):  # the second time out of the cache
        refused(root, "4 of 37 images cannot be decoded", "and 1 more", str(root / "cat/000.png"), stream=stream)
    for name in ("cat/000.png", "cat/bomb.bmp"):
        (root / name).unlink()
    refused(
        root,
        f"{root / 'dog/001.png'} (not an image that Pillow can read)",
        "(not a file, or a broken link)",
        stream=stream,
    )


@pytest.mark.parametrize("stream", [False, True])
def test_broken_images_are_skipped_if_asked(stream: bool, tmp_path: Path) -> None:
    root = broken(tmp_path)
    first, again = (load(root, skip_broken=True, stream=stream) for _ in range(2))
    assert first.info == again.info
    assert {left.reason: left.names for left in first.info.account.left_out} == {
        "broken": ("cat/000.png", "cat/bomb.bmp", "dog/001.png"), "link_broken": ("owl/002.png",),
    }  # fmt: skip
    assert sum(sizes(first)) == 33
    for part in parts(first):
        assert len(part.images[:]) == len(part.labels)
        assert len(set(hashes(part))) == len(part), "no row of a broken image is left"


def test_a_class_whose_images_are_all_broken_is_an_error_all_the_same(tmp_path: Path) -> None:
    root = write_split_images(tmp_path / "robots")
    for path in (root / "train/owl").iterdir():
        path.write_text(path.name)
    refused(root, "class 'owl' of dataset robots has 0 images (left out: 10 broken)", skip_broken=True)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "damage", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" + bytes(30), b"II*\0" * 9]
)
def test_what_looks_like_an_image_and_is_none(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(damage)
    with pytest.raises(BadFile) as caught:
        decoding.decode(path, 8)
    assert caught.value.message and "\n" not in caught.value.message


def test_named_pipes_are_not_waited_for(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals")
    for name in CLASSES:
        os.mkfifo(root / name / "pipe.png")
    refused(root, "3 of 33 images cannot be decoded", "not a file")


# The cache


def test_images_are_decoded_once_and_the_progress_is_told(tmp_path: Path, cache: Path, monkeypatch) -> None:
    root, seen = write_images(tmp_path / "animals", 12), []
    first = load(root, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (36, 36) and sum(done == 36 for done, total in seen) == 2  # looked at, then decoded
    monkeypatch.setattr(decoding, "decode", None)  # what is not cached would fail
    second, other_seed = load(root), load(root, seed=1)
    for splits in (second, other_seed):
        assert sizes(splits) == sizes(first)
    for part, same in zip(parts(first), parts(second), strict=True):
        np.testing.assert_array_equal(part.images[:], same.images[:])
    assert {path.suffix for path in cache.iterdir()} == {".npy", ".json"}
    assert len(list(cache.glob("*.npy"))) == 2 and len(list(cache.glob("*.depths.json"))) == 1


def test_a_changed_file_or_another_size_is_decoded_anew(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", 12)
    load(root)
    path = root / "cat/000.png"
    Image.new("RGB", (12, 12), "red").save(path)
    changed = load(root)
    assert any((image == (255, 0, 0)).all() for part in parts(changed) for image in part.images[:])
    assert load(root, size=8).train.images[:].shape[1:] == (8, 8, 3)


@pytest.mark.parametrize("damage", [lambda c: c[:-5], lambda c: b"", lambda c: b"x" + c[1:], lambda c: c + b"x"])
@pytest.mark.parametrize("ending", [".npy", ".json"])
def test_a_damaged_cache_is_made_anew(ending: str, damage, tmp_path: Path, cache: Path) -> None:
    root = write_images(tmp_path / "animals", 6)
    expected = load(root)
    images = [part.images[:] for part in parts(expected)]
    for path in cache.glob(f"*{ending}"):
        path.write_bytes(damage(path.read_bytes()))
    for part, same in zip(parts(load(root)), images, strict=True):
        np.testing.assert_array_equal(part.images[:], same)


def test_an_end_in_the_middle_leaves_nothing_behind(tmp_path: Path, cache: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(write_images(tmp_path / "animals"), on_progress=stop)
    assert not [path for path in cache.parent.rglob("*") if path.is_file()]


def test_what_a_killed_run_left_half_decoded_is_cleared_away(tmp_path: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / ".abandoned.x.partial").write_bytes(b"half")
    in_use = cache / ".another.x.partial"
    in_use.write_bytes(b"half")
    with in_use.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as the process that is writing it does
        load(write_images(tmp_path / "animals"))
    assert [path.name for path in cache.glob(".*.partial")] == [in_use.name]


def test_streaming_writes_nothing_and_gives_the_same_pixels(tmp_path: Path, cache: Path) -> None:
    root = write_images(tmp_path / "animals", size=20)
    streamed = load(root, stream=True)
    assert not cache.exists()
    decoded = load(root)
    assert streamed.info == decoded.info
    for part, same in zip(parts(streamed), parts(decoded), strict=True):
        np.testing.assert_array_equal(part.images[:], same.images[:])


def test_a_file_that_breaks_while_streaming_is_named(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals")
    splits = load(root, stream=True)
    for path in root.glob("*/*.png"):
        path.write_text("no image")
    with pytest.raises(BadFile, match=r"\.png can no longer be decoded: not an image"):
        splits.train.images[np.array([0, 1])]


def test_a_disk_that_is_too_small_is_told_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = decoding.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(decoding.shutil, "disk_usage", lambda path: full)
    with pytest.raises(EdgebenchError, match="decoded images need") as caught:
        load(write_images(tmp_path / "animals"))
    assert "--stream" in caught.value.fix and "EDGEBENCH_CACHE" in caught.value.fix
