"""Groups that no split may part: near copies, pictures under two labels, and what --group-by names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import CLASSES, parts, write_images, write_split_images
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import alike, resaved, scene
from PIL import Image

from edgebench.errors import BadFile, UsageError
from edgebench.training import data
from edgebench.training.data import cutting, grouping
from edgebench.training.data.dividing import divide
from edgebench.training.data.sources import Decoding, Rules
from edgebench.training.data.subset import is_validation, stratified_order


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))


def load(root: Path, subset: str = "full", seed: int = 0, skip_broken: bool = False, **rules) -> data.Splits:
    found = replace(data.find(str(root)), rules=Rules(**rules))
    return data.load(found, subset, 16, seed, skip_broken=skip_broken)


@st.composite
def labelled_groups(draw) -> tuple[np.ndarray, np.ndarray]:
    classes = draw(st.integers(2, 4))
    labels, groups = [], []
    for label in range(classes):
        for size in draw(st.lists(st.integers(1, 12), min_size=4, max_size=20)):
            groups += [max(groups, default=-1) + 1] * size
            labels += [label] * size
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    return np.array(labels)[order], np.array(groups)[order]


@settings(max_examples=150, deadline=None)
@given(labelled_groups(), st.integers(0, 5))
def test_a_group_is_held_out_whole_and_classes_keep_their_shares(made, seed: int) -> None:
    labels, groups = made
    order, rank = stratified_order(labels, seed)
    alone = np.zeros(len(labels), bool)
    alone[order] = is_validation(rank)
    held = cutting.held_out(order, alone, labels, groups, 1)
    assert not set(groups[held]) & set(groups[~held])
    for label in np.unique(labels):
        inside = labels == label
        assert 0 < held[inside].sum() < inside.sum(), "each class is on both sides"
        largest = np.bincount(groups[inside]).max()
        assert abs(int(held[inside].sum()) - int(alone[inside].sum())) <= largest
    new = cutting.arranged(order, rank, labels, held)
    assert sorted(new) == sorted(order) and (labels[new] == labels[order]).all()
    for label in np.unique(labels):
        first = new[labels[new] == label][:2]
        assert held[first].tolist() == [False, True], "the smallest subset trains and validates each class"


@settings(max_examples=50, deadline=None)
@given(st.integers(20, 90), st.integers(0, 5))
def test_without_groups_nothing_changes(count: int, seed: int) -> None:
    labels = np.arange(count) % 3
    order, rank = stratified_order(labels, seed)
    alone = np.zeros(count, bool)
    alone[order] = is_validation(rank)
    assert (cutting.held_out(order, alone, labels, np.arange(count)[::-1], 1) == alone).all()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.data(), own_test=st.booleans(), own_validation=st.booleans())
def test_whatever_is_copied_no_split_shares_a_picture_and_the_account_adds_up(
    made, own_test: bool, own_validation: bool, tmp_path_factory
) -> None:
    root = tmp_path_factory.mktemp("family") / "things"
    splits = ["train"] + ["valid"] * own_validation + ["test"] * own_test
    seed = 0
    for name in CLASSES[:2]:
        for split in splits:
            (root / split / name).mkdir(parents=True)
            for i in range(8 if split == "train" else 3):
                seed += 1
                scene(seed, 32).save(root / split / name / f"{i}.png")
    for copy in range(made.draw(st.integers(1, 10))):
        name = made.draw(st.sampled_from(CLASSES[:2]))
        # four pictures of each class stay single, so that there is something to train on
        original = Image.open(root / "train" / name / f"{made.draw(st.integers(0, 3))}.png")
        where = root / made.draw(st.sampled_from(splits)) / name
        ending = made.draw(st.sampled_from(["png", "bmp", "jpg"]))
        resaved(original, made.draw(st.sampled_from(["1", "0.5", "2"]))).save(where / f"copy{copy}.{ending}")
    dataset = data.find(str(root))
    found = divide(dataset, "full", 0, Decoding())
    used = dict(zip(("train", "validation", "test"), found.rows, strict=True))
    account = found.ledger.close(used)
    assert account.adds_up() and account.found == sum(path.is_file() for path in root.rglob("*"))
    pixels = alike(root)
    names = [file.name for file in found.raw.source.files]
    same = [pixels[names[row]][0] for rows in used.values() for row in rows]
    assert len(same) == len(set(same))
    near = [{pixels[names[row]][1] for row in rows} for rows in used.values()]
    assert not near[0] & near[1] and not near[0] & near[2] and not near[1] & near[2]


def test_a_class_that_was_enlarged_by_copying_trains_with_a_notice(tmp_path: Path) -> None:
    root = write_images(tmp_path / "parts", {"defect": 10, "ok": 60})
    for path in sorted((root / "defect").iterdir()):
        for copy in range(5):
            path.with_name(f"copy{copy}-{path.name}").write_bytes(path.read_bytes())
    account = load(root).info.account
    assert account.count("copy") == 50 and account.found == 120
    assert account.balance == {"train": (7, 42), "validation": (1, 6), "test": (2, 12)}
    (notice,) = account.notices
    assert notice.code == "few_distinct" and "'defect' has 10 distinct pictures: 50" in notice.message


def test_a_picture_under_two_labels_is_told_or_left_out(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", 10)
    for i in range(4):
        Image.open(root / f"cat/00{i}.png").save(root / f"dog/again{i}.bmp")
    with pytest.raises(BadFile, match=r"4 pictures are under two labels .*cat/000.png = dog/again0.bmp.* and 1 more"):
        load(root)
    splits = load(root, skip_conflicts=True)
    assert splits.info.account.count("conflict") == 8 and splits.info.account.adds_up()
    assert sum(map(len, parts(splits))) == 26


def test_near_copies_of_a_test_picture_are_left_out_of_training(tmp_path: Path) -> None:
    root = write_split_images(tmp_path / "robots")
    scene(5).save(root / "test/cat/scene.png")
    scene(6).save(root / "val/cat/scene.png")
    for seed, name in ((5, "near-test"), (6, "near-val")):
        resaved(scene(seed), "jpeg60").save(root / f"train/cat/{name}.png")
    resaved(scene(5), "0.5").save(root / "val/dog/near-test.png")
    account = load(root).info.account
    assert account.count("near_copy_of_test") == 2 and account.count("near_copy_of_validation") == 1
    assert load(root, near_copies=False).info.account.left_out == ()


def test_near_copies_under_two_labels_are_told(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", 10)
    scene(5).save(root / "cat/scene.png")
    resaved(scene(5), "jpeg60").save(root / "dog/again.png")
    (notice,) = load(root).info.account.notices
    assert notice.code == "near_conflict" and notice.message.endswith(
        "two labels: 1, such as cat/scene.png = dog/again.png"
    )


# --group-by


def grouped_folder(root: Path) -> Path:
    write_images(root, {"cat": 24, "dog": 24})
    for i, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"scene{i % 6}_{path.name}"))
    return root


@pytest.mark.parametrize("kind", ["pattern", "csv", "json"])
def test_a_named_group_is_in_one_split(kind: str, tmp_path: Path) -> None:
    root = grouped_folder(tmp_path / "animals")
    names = [str(path.relative_to(root)) for path in sorted(root.rglob("*.png"))]
    groups = {name: name.partition("/")[2].partition("_")[0] for name in names}
    given = r"/(scene\d)_"
    if kind == "csv":
        given = str(tmp_path / "groups.csv")
        Path(given).write_text("\ufeffpath,group\n" + "".join(f"{name},{group}\n" for name, group in groups.items()))
    elif kind == "json":
        given = str(tmp_path / "groups.json")
        Path(given).write_text(json.dumps(groups))
    dataset = replace(data.find(str(root)), rules=Rules(group_by=given))
    for subset in ("full", "20"):
        found = divide(dataset, subset, 3, Decoding())
        scenes = [{groups[found.raw.source.files[row].name] for row in rows}
                  for rows in found.rows]  # fmt: skip
        assert all(scenes) and sum(map(len, scenes)) == len(set.union(*scenes))
    assert found.ledger.groups is not None


def test_too_few_groups_are_one_clear_error(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", 12)
    for near_copies in (True, False):
        with pytest.raises(BadFile, match=r"12 pictures of class 'cat' .* are one group .*: 3 groups are") as caught:
            load(root, group_by="cat|dog|owl", near_copies=near_copies)
        assert "nearly the same" not in caught.value.message and "--no-near-copies" not in caught.value.fix


@pytest.mark.parametrize(
    "given, words",
    [("(", "no regular expression"), ("nothing", "names no file"), ("none.csv", "there is no file none.csv")],
)
def test_a_group_that_cannot_be_read(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        grouping.numbered(given, ["cat/1.png", "dog/2.png"])


@pytest.mark.parametrize("content", ["only\n", "[1]", "{", "\0"])
def test_a_file_of_groups_that_is_none(content: str, tmp_path: Path) -> None:
    path = tmp_path / ("groups.csv" if content == "only\n" else "groups.json")
    path.write_text(content)
    with pytest.raises(BadFile, match="is no file of groups"):
        grouping.numbered(str(path), ["cat/1.png"])


def test_a_pattern_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "PATTERN_S", 0.5)
    with pytest.raises(UsageError, match="takes too long"):
        grouping.numbered("(a+)+$", ["a" * 60 + "b"])
