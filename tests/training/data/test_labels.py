"""Labels of a CSV or JSON file: columns by their usual names, files by their path, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_layouts import account, fill, used

from edgebench.errors import BadFile
from edgebench.records import account_text
from edgebench.training.data import label_tables

ANIMALS = {f"images/{i}.png": ("cat", "dog", "owl")[i % 3] for i in range(12)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets", {"images": 12})


def write(root: Path, text: str, name: str = "labels.csv") -> str:
    (root / name).write_text(text, encoding="utf-8")
    return str(root / name)


def table(head: str, sep: str = ",", **changed: str) -> str:
    return "\n".join([head, *(f"{file}{sep}{label}" for file, label in (ANIMALS | changed).items())]) + "\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", table("file,label")), ("labels.csv", table("Filename;Class", ";")),
        ("labels.tsv", table("image_path\tcategory", "\t")), ("labels.csv", "\ufeff" + table("image,species")),
        ("labels.csv", table("file,label").replace("images/", "")),  # Kaggle: names alone
        ("labels.csv", table("image_id,dx").replace("images/", "").replace(".png", "")),  # and without an ending
        ("labels.csv", table("file,label").replace("images/", "pets/images/")),  # paths that begin one folder above
        ("labels.csv", table("file,label").replace("images/", "images\\")),
        ("labels.json", json.dumps(ANIMALS)),
        ("labels.json", json.dumps([{"file_name": file, "label": label} for file, label in ANIMALS.items()])),
        ("metadata.jsonl", "\n".join(json.dumps({"file_name": f, "label": v}) for f, v in ANIMALS.items())),
        ("_classes.csv", "filename, cat, dog, owl\n" + "".join(
            f"{file},{int(v == 'cat')},{int(v == 'dog')},{int(v == 'owl')}\n" for file, v in ANIMALS.items())),
    ],
)  # fmt: skip
def test_labels_are_found_in_all_usual_tables(name: str, text: str, root: Path) -> None:
    found = account(root, labels=write(root, text, name))
    assert found.classes == ("cat", "dog", "owl") and sum(used(found)) == 12
    assert found.layout.kind == "labels" and found.layout.asked
    assert [(left.reason, left.count) for left in found.left_out] == [("not_a_picture", 1)]


def test_splits_of_a_column_and_of_folders(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", {"train": 9, "valid": 3, "test": 3})
    files = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.png"))]
    lines = [f"{file},{i % 3}" for i, file in enumerate(files)]
    found = account(root, labels=write(root, "file,label\n" + "\n".join(lines)))
    assert found.used == {"train": 9, "validation": 3, "test": 3} and found.classes == ("0", "1", "2")
    assert found.layout.folders == {"train": ("train",), "validation": ("valid",), "test": ("test",)}
    lines = [f"{line},{'Testing' if i % 5 == 0 else 'TRAIN'}" for i, line in enumerate(lines)]
    found = account(root, labels=write(root, "file,label,split\n" + "\n".join(lines)))
    assert found.used["test"] == 3 and found.layout.columns["split"] == "split"
    assert account_text.understood(found.layout).endswith("split = split); validation is cut from training")
    some = [line.removesuffix("TRAIN") if i % 5 == 1 else line for i, line in enumerate(lines)]
    found = account(root, labels=write(root, "file,label,split\n" + "\n".join(some)))
    assert "; 3 without a split count as training; validation is" in account_text.understood(found.layout)


def test_numbers_are_in_the_order_of_numbers(root: Path) -> None:
    text = "file,label\n" + "".join(f"{file},{(9, 10, 11)[i % 3]}\n" for i, file in enumerate(ANIMALS))
    assert account(root, labels=write(root, text)).classes == ("9", "10", "11")


def test_files_that_are_not_listed_are_left_out(root: Path) -> None:
    text = table("file,label").replace("images/0.png,cat\n", "").replace("images/1.png,dog", "images/1.png,")
    found = account(root, labels=write(root, text))
    (left, _) = sorted(found.left_out, key=lambda each: each.reason != "unlabelled")
    assert (left.reason, left.names) == ("unlabelled", ("images/0.png", "images/1.png"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lists no files"),
        ("file,label\n", "lists no files"),
        ("a,b\n1,2\n", "no column of file names"),
        ("file,size\n0.png,22\n", "no column of labels"),
        ("file,label\n0.png\n", "line 2: 1 values"),
        ('file,label\n"0.png,cat\n', "is not CSV"),
        ("file,file\na,b\n", "two columns of one name"),
        (table("file,label", **{"images/99.png": "cat", "x.png": "dog"}), "2 of the 14 files"),
        (table("file,label", **{"../secret.png": "cat"}), "is not in"),
        (table("file,label", **{"/etc/passwd": "cat"}), "is not in"),
        (table("file,label") + "images/0.png,dog\n", "twice, as cat and dog"),
        (table("file,label", **{f"images/{i}.png": "cat" for i in range(12)}), "only the label 'cat'"),
        ("file,label,split\n" + "".join(f"{f},{v},fold1\n" for f, v in ANIMALS.items()), "the split 'fold1'"),
        ("file,cat,dog\nimages/0.png,1,1\nimages/1.png,1,0\n", "several labels to 1 of its files"),
    ],
)
def test_what_is_wrong_is_one_message_with_a_fix(text: str, says: str, root: Path) -> None:
    with pytest.raises(BadFile) as caught:
        account(root, labels=write(root, text))
    assert says in caught.value.message and "\n" not in caught.value.message and caught.value.fix


@pytest.mark.parametrize(
    "text",
    ["{", "[1]", "3", '{"a": {"b": 1}}', "[" * 100_000, '[{"file": "0.png", "label": ["a", "b"]}]'],
    ids=range(6),
)
def test_json_that_is_no_table(text: str, root: Path) -> None:
    with pytest.raises(BadFile) as caught:
        account(root, labels=write(root, text, "labels.json"))
    assert "\n" not in caught.value.message and caught.value.fix


@settings(max_examples=100)
@given(st.binary(max_size=60), st.sampled_from(("x.csv", "x.json", "x.jsonl")))
def test_any_bytes_give_a_table_or_one_message(tmp_path_factory, content: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        label_tables.read(path)
    except BadFile as error:
        assert "\n" not in error.message and error.message.isprintable()


def test_a_file_that_is_too_large_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_tables, "MOST_BYTES", 10)
    with pytest.raises(BadFile, match="more than"):
        account(root, labels=write(root, table("file,label")))


@pytest.mark.parametrize("wrapped", ["", "pets.v1i.multiclass/"])
def test_roboflow_exports_with_a_column_for_each_class(wrapped: str, tmp_path: Path) -> None:
    root = fill(
        tmp_path / "export", {f"{wrapped}{split}": n for split, n in (("train", 12), ("valid", 4), ("test", 4))}
    )
    (root / wrapped / "README.roboflow.txt").write_text("exported")
    for split, n in (("train", 12), ("valid", 4), ("test", 4)):
        lines = "".join(f"{i}.png,{i % 2},{1 - i % 2}\n" for i in range(n))
        (root / wrapped / split / "_classes.csv").write_text(f"filename, cat, dog\n{lines}")
    found = account(root)
    assert (used(found), found.classes, found.layout.kind) == ((12, 4, 4), ("cat", "dog"), "labels")
    (root / wrapped / "train" / "_classes.csv").write_text("filename, cat, dog\n0.png,1,1\n1.png,0,1\n")
    with pytest.raises(BadFile, match="several labels"):
        account(root)
