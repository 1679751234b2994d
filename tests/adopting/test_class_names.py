"""Which class of a model a folder is: by names in all common forms, by numbers, in order; never by a guess."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebench.adopting import class_names
from edgebench.errors import BadFile, UsageError

IMAGENET = (
    "n01440764 tench, Tinca tinca",
    "n01443537 goldfish, Carassius auratus",
    "n02012849 crane",
    "n03126707 crane",
)


def found(folders: list[str], names: tuple[str, ...] = IMAGENET, count: int = 4) -> tuple[int, ...]:
    return class_names.meaning(folders, class_names.of_lines(names), count)


@pytest.mark.parametrize("folder", ["tench", "Tinca_Tinca", "TENCH", "n01440764", "0", "000", "tench, Tinca tinca"])
def test_a_folder_is_found_by_any_of_its_names(folder: str) -> None:
    assert found([folder]) == (0, -1, -1, -1)


def test_several_classes_of_one_name_are_this_folder() -> None:
    names = ("tabby", "cat", "dog", "cat")
    assert found(["cat", "dog"], names) == (-1, 0, 1, 0)
    assert found(["Großer Hund"], ("großer_hund",), 1) == (0,)


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (["crane"], r"'crane' may be several classes of the model: 2 \(n02012849\), 3 \(n03126707\)"),
        (["tench", "0"], "'tench' and '0' are the same class of the model: 0"),
        (
            ["gold_fish", "teapot", "tensh"],
            r"2 of 3 folders are no class of the model: 'teapot', 'tensh' \(near: 'tench",
        ),
        (["9"], "'9'"),
    ],
)
def test_what_is_not_clear_is_refused(folders: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        found(folders)
    assert caught.value.fix


def test_without_names_only_numbers_are_taken() -> None:
    assert class_names.meaning(["1", "0"], {}, 2) == (1, 0)
    with pytest.raises(UsageError, match="what the 2 classes of the model are is not known") as caught:
        class_names.meaning(["cat", "dog"], {}, 2)
    assert "--class-names order" in caught.value.fix
    with pytest.raises(UsageError) as caught:
        class_names.meaning(["cat", "dog"], {}, 3)
    assert "order" not in caught.value.fix
    assert class_names.in_order(["cat", "dog"], 2) == (0, 1)
    with pytest.raises(UsageError, match="3 classes, there are 2 folders"):
        class_names.in_order(["cat", "dog"], 3)
    with pytest.raises(UsageError, match="names for 4 classes, the model has 3"):
        found(["tench"], count=3)


@pytest.mark.parametrize(
    "text",
    [
        "tench\ngoldfish\n", "\ufefftench\r\ngoldfish\r\n", json.dumps(["tench", "goldfish"]),
        json.dumps({"0": "tench", "1": "goldfish"}), json.dumps({"tench": 0, "goldfish": 1}),
        json.dumps({"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}),
    ],
)  # fmt: skip
def test_files_of_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "names").write_text(text, encoding="utf-8")
    named = class_names.read(tmp_path / "names")
    assert class_names.meaning(["goldfish", "tench"], named, 2) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        "[1, 2]",
        '{"tench": "0"}',
        '{"0": 1.5}',
        '{"0": "a", "00": "b"}',
        '{"a": -1}',
        '{"0": ["a"]}',
        "[" * 99,
    ],
)
def test_files_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "names").write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as caught:
        class_names.read(tmp_path / "names")
    assert caught.value.fix
    (tmp_path / "names").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="cannot be read"):
        class_names.read(tmp_path / "names")
