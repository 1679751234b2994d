"""What the folders of a dataset stand for: all common spellings, what lies inside, and the fixes of refusals."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from itertools import count
from pathlib import Path

import pytest
from datasets import write_picture
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebench.errors import BadFile, EdgebenchError, UsageError
from edgebench.records.account import Account
from edgebench.records.recipe import TrainConfig
from edgebench.training import data

NUMBERS = count()


def make(root: Path, **folders: int) -> Path:
    """So many files in each folder (given as a path with "__" for "/"), pictures of which no two are alike."""
    return fill(root, {path.replace("__", "/"): number for path, number in folders.items()})


def fill(root: Path, folders: dict[str, int]) -> Path:
    for path, number in folders.items():
        (root / path).mkdir(parents=True, exist_ok=True)
        for i in range(number):
            write_picture(root / path / f"{i}.png", next(NUMBERS))
    return root


def account(root: Path, layout: str | None = None, labels: str | None = None) -> Account:
    found = data.account(data.find(str(root), layout=layout, labels=labels))
    assert found.adds_up()
    assert found.found == sum(1 for path in root.rglob("*") if not path.is_dir())
    assert all(sum(some) == found.used[split] for split, some in found.balance.items())
    return found


def used(found: Account) -> tuple[int, ...]:
    return tuple(found.used.values())


# Spellings

WORDS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
DECORATED = ("{}", "{}_set", "{}-set", "{} set", "{}set", "seg_{}", "{}_data", "images_{}", "{}2017", "pets_{}")
CASES = (str.lower, str.upper, str.title, str.capitalize)


@settings(max_examples=40)
@given(st.data())
def test_splits_are_recognised_in_all_common_spellings(drawn: st.DataObject) -> None:
    decorated, case = drawn.draw(st.sampled_from(DECORATED)), drawn.draw(st.sampled_from(CASES))
    present = ["train", *drawn.draw(st.sampled_from((["test"], ["validation"], ["validation", "test"])))]
    named = {split: case(decorated.format(drawn.draw(st.sampled_from(WORDS[split])))) for split in present}
    wrapped = drawn.draw(st.sampled_from(("", "archive/", "archive/pets/")))
    doubled = drawn.draw(st.booleans())
    within = drawn.draw(st.booleans())  # <class>/<split> instead of <split>/<class>
    folders = {}
    for split, name in named.items():
        for animal in ("cat", "dog", "owl"):
            inside = f"{animal}/{name}" if within else f"{name}/{name}/{animal}" if doubled else f"{name}/{animal}"
            folders[wrapped + inside] = 4 if split == "train" else 2
    with tempfile.TemporaryDirectory() as folder:
        found = account(fill(Path(folder), folders))
    assert found.classes == ("cat", "dog", "owl") and found.layout.levels == (
        "class/split" if within else "split/class"
    )
    assert {split for split in ("train", "validation", "test") if split in found.layout.folders} == set(present)
    expected = {"train": 12, "validation": 6, "test": 6}
    assert {split: found.used[split] for split in present if split != "train"} == {
        split: expected[split] for split in present if split != "train"
    }
    assert sum(used(found)) == 12 + 6 * (len(present) - 1)


@pytest.mark.parametrize(
    ("folders", "classes", "levels"),
    [
        ({"cats__indoor": 3, "cats__outdoor": 3, "dogs__indoor": 3, "dogs__outdoor": 3}, ("cats", "dogs"), "class"),
        ({"bus": 3, "car": 3, "train": 3}, ("bus", "car", "train"), "class"),
        ({"valid": 3, "invalid": 3}, ("invalid", "valid"), "class"),
        ({"test": 3, "blank": 3, "sample": 3}, ("blank", "sample", "test"), "class"),
        ({"photos__cat": 3, "photos__dog": 3}, ("cat", "dog"), "class"),
        ({"Training__red": 3, "Training__blue": 3, "Testing__red": 1}, ("blue", "red"), "split/class"),
        ({"train__a": 3, "train__b": 3, "test__a": 1, "extra__a": 1, "extra__c": 1}, ("a", "b"), "split/class"),
        ({"seg_train__seg_train__a": 3, "seg_train__seg_train__b": 3, "seg_test__seg_test__a": 1,
          "seg_pred__seg_pred": 2},
         ("a", "b"), "split/class"),
    ],
)  # fmt: skip
def test_what_lies_inside_decides(folders: dict[str, int], classes: tuple[str, ...], levels: str, tmp_path) -> None:
    found = account(make(tmp_path, **folders))
    assert (found.classes, found.layout.levels, found.layout.asked) == (classes, levels, False)


def test_folders_that_each_class_holds_may_be_the_classes(tmp_path: Path) -> None:
    root = make(tmp_path, line1__ok=4, line1__defect=4, line2__ok=4, line2__defect=4)
    assert account(root).layout.alike == ("defect", "ok")
    found = account(root, "any/class")
    assert (found.classes, found.layout.asked, sum(used(found))) == (("defect", "ok"), True, 16)


@pytest.mark.parametrize(
    ("layout", "classes", "numbers"),
    [
        ("class", ("test", "train"), 16), ("split/class", ("a", "b"), 16), ("any/class", ("a", "b"), 16),
        ("split/any/class", ("x", "y"), 16), ("any/any/class", ("x", "y"), 16),
    ],
)  # fmt: skip
def test_the_user_has_the_last_word(layout: str, classes: tuple[str, ...], numbers: int, tmp_path: Path) -> None:
    root = fill(tmp_path, {f"{s}/{c}/{d}": 2 for s in ("train", "test") for c in "ab" for d in "xy"})
    found = account(root, layout)
    assert (found.classes, sum(used(found)), found.layout.levels) == (classes, numbers, layout)


@pytest.mark.parametrize("layout", ["", "classes", "split", "class/class", "split/split/class", "class/", "*/class"])
def test_a_layout_that_says_nothing(layout: str) -> None:
    with pytest.raises(UsageError, match="--layout") as caught:
        TrainConfig(layout=layout).check()
    assert "split/class" in caught.value.fix
    with pytest.raises(UsageError, match="both say"):
        TrainConfig(layout="class", labels="x.csv").check()
    with pytest.raises(UsageError, match="is for folders"):
        data.find("digits", layout="class")


# What is ambiguous, and the fixes that are printed


def obey(fix: str, root: Path) -> Account:
    """Do what a message says: run its first command, or give its option; and look again."""
    move = re.search(r"mv ('[^']*'|\S+) ('[^']*'|\S+)", fix)
    option = re.search(r"--layout ([a-z/]+)", fix)
    assert move or option, fix
    if move:
        subprocess.run(shlex.split(move[0].rstrip(",")), check=True)
        return account(root)
    return account(root, option[1])


REFUSED = {
    "an evaluation": {"train__a": 4, "train__b": 4, "eval__a": 2, "eval__b": 2},
    "two validations": {"train__a": 4, "train__b": 4, "val__a": 2, "valid__a": 2},
    "two trainings": {"train__a": 4, "train__b": 4, "Training__a": 4, "Training__b": 4, "test__a": 2},
    "another name": {"train__a": 4, "train__b": 4, "test_night__a": 2, "test__a": 2},
    "no training split": {"test__a": 4, "test__b": 4, "val__a": 2, "val__b": 2},
    "several training splits": {"cats_train__a": 4, "cats_test__a": 4, "dogs_train__a": 4, "dogs_test__b": 4},
    "a class that is called train": {"train__in": 4, "train__out": 4, "bus__in": 4, "bus__out": 4},
    "some classes are divided": {"cat__train": 4, "cat__test": 4, "dog": 4},
    "a test without classes": {"train__a": 4, "train__b": 4, "test": 3},
    "a class of another case": {"train__Cat": 4, "train__Dog": 4, "test__cat": 2},
    "splits without classes": {"train": 4, "test": 4, "blank": 4},
}


@pytest.mark.parametrize("folders", REFUSED.values(), ids=REFUSED)
def test_what_is_ambiguous_is_refused_and_the_printed_fix_works(folders: dict[str, int], tmp_path: Path) -> None:
    root = make(tmp_path / "some photos", **folders)
    with pytest.raises(BadFile) as caught:
        account(root)
    assert "\n" not in caught.value.message and str(root) in caught.value.message
    assert obey(caught.value.fix, root).adds_up()


def test_a_folder_that_is_named_unused_is_left_out(tmp_path: Path) -> None:
    found = account(make(tmp_path, train__a=4, train__b=4, test__a=2, test__b=2, unused_test=3, more__a=1))
    (left,) = found.left_out
    assert (left.reason, left.count, left.names) == (
        "unused",
        4,
        ("more/a/0.png", "unused_test/0.png", "unused_test/1.png"),
    )


def test_imagenet_without_labels_of_its_test_images(tmp_path: Path) -> None:
    root = make(tmp_path, train__n01440764=4, train__n01443537=4, val__n01440764=2, val__n01443537=2, test=3)
    found = account(root)
    assert (found.used["test"], found.layout.folders["test"]) == (4, ("val",))
    assert [(left.reason, left.count) for left in found.left_out] == [("unused", 3)]


@pytest.mark.parametrize(
    "folders", [{"images__train": 3, "labels__train": 3}, {"train__images": 3, "train__labels": 3, "valid__images": 1}]
)
def test_a_dataset_for_detection_is_told_as_one(folders: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="detection"):
        account(make(tmp_path, **folders))


@pytest.mark.parametrize("folders", [{}, {"cat": 5}, {"train": 5}])
def test_what_is_no_dataset_is_told_with_a_fix(folders: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(EdgebenchError, match="class") as caught:
        account(make(tmp_path, **folders))
    assert "--labels" in caught.value.fix
