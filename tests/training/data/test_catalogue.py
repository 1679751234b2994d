"""Names and folders: what each dataset is, where it is looked for, and what to do where it is not found."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import CLASSES, LAYOUTS, write_cifar, write_idx

from edgebench.errors import BadFile, UsageError
from edgebench.training import data

NAMES = ("digits", "fashion-mnist", "cifar10", "cifar100", "imagenet")


@pytest.fixture(autouse=True)
def no_data_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEBENCH_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    "layout, name, image_size, flip, classes",
    [
        ("cifar-10-batches-bin", "cifar10", 32, True, CLASSES),
        ("cifar-10-batches-py", "cifar10", 32, True, CLASSES),
        ("cifar-100-binary", "cifar100", 32, True, CLASSES),
        ("cifar-100-python", "cifar100", 32, True, CLASSES),
        ("fashion-mnist", "fashion-mnist", 32, True, None),
        ("imagenet", "imagenet", 224, True, ("n01440764", "n01443537")),
    ],
)
@pytest.mark.parametrize("how", ["data_dir", "environment", "home", "path"])
def test_a_dataset_is_found(
    how: str, layout: str, name: str, image_size: int, flip: bool, classes, tmp_path: Path, monkeypatch
) -> None:
    root = tmp_path / "home/.cache/edgebench/data" if how == "home" else tmp_path / "data"
    folder = LAYOUTS[layout](root)
    if how == "environment":
        monkeypatch.setenv("EDGEBENCH_DATA", str(root))
    found = data.find(str(folder) if how == "path" else name, root if how == "data_dir" else None)
    assert (found.name, found.image_size, found.flip) == (name, image_size, flip)
    assert found.classes == classes or (len(found.classes) == 10 and found.classes[0] == "T-shirt/top")


def test_digits_need_no_folder_and_are_not_mirrored() -> None:
    found = data.find("digits")
    assert (found.classes, found.image_size, found.flip) == (tuple("0123456789"), 16, False)


def test_idx_files_of_another_name_are_numerals(tmp_path: Path) -> None:
    found = data.find(str(write_idx(tmp_path / "mnist")))
    assert (found.name, found.classes, found.flip) == ("mnist", tuple("0123456789"), False)


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_dataset_that_is_not_there_says_where_it_was_looked_for_and_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=f"dataset {name} is not on this machine") as caught:
        data.load(name, "full", 32, 0, data_dir=tmp_path / "data")
    assert str(tmp_path / "data") in caught.value.message
    assert "EDGEBENCH_DATA" in caught.value.fix and "http" in caught.value.fix
    assert ("--download" in caught.value.fix) == name.startswith("cifar")
    if name == "cifar10":
        assert "cifar-10-batches-bin" in caught.value.message and "cifar-10-batches-py" in caught.value.message
        assert "cifar-10-binary.tar.gz" in caught.value.fix


def test_the_binary_layout_comes_first_and_an_empty_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-bin").mkdir()
    write_cifar(tmp_path / "cifar-10-batches-py", pickled=True)
    assert data.find("cifar10", tmp_path).classes == CLASSES


@pytest.mark.parametrize(
    "name, close", [("cifra10", "cifar10"), ("CIFAR100", "cifar100"), ("fashion_mnist", "fashion-mnist"),
                    ("Imagenet", "imagenet"), ("digts", "digits")]
)  # fmt: skip
def test_an_unknown_name_offers_close_ones(name: str, close: str) -> None:
    with pytest.raises(UsageError, match="unknown dataset or folder") as caught:
        data.find(name)
    assert "did you mean" in caught.value.fix and close in caught.value.fix


@pytest.mark.parametrize("name", ["zzz", "\ud800", "a\0b"])
def test_a_name_far_from_any_lists_those_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="unknown dataset or folder") as caught:
        data.load(name, "full", 8, 0)
    assert all(known in caught.value.fix for known in NAMES)


def test_an_empty_name_is_not_the_folder_that_one_stands_in() -> None:
    with pytest.raises(UsageError, match="unknown dataset or folder ''"):
        data.find("")


def test_a_path_that_does_not_exist_or_is_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*/nowhere") as caught:
        data.find(str(tmp_path / "nowhere"))
    assert "cifar10" in caught.value.fix
    (tmp_path / "archive.zip").write_text("")
    with pytest.raises(UsageError, match=r"archive\.zip is a file") as caught:
        data.find(str(tmp_path / "archive.zip"))
    assert "unpack" in caught.value.fix


def test_a_home_folder_is_understood(tmp_path: Path) -> None:
    write_cifar(tmp_path / "home" / "pictures")
    assert data.find("~/pictures").name == "cifar10"
