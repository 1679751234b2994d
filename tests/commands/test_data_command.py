"""`edgebench data`: the account as text and as JSON, the sheet of pictures, and what is refused."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Command
from datasets import write_images, write_split_images
from factories import make_artifact
from PIL import Image

import edgebench
from edgebench.errors import BadFile, UsageError
from edgebench.records import account_text, jsonio
from edgebench.records.account import Account, Pictures, Spread
from edgebench.report import account as told
from edgebench.report.page import accounts


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    made = write_split_images(tmp_path / "my pets", {"Training": 8, "Testing": 3})
    (made / "Training" / "cat" / "Thumbs.db").write_text("junk")
    (made / "Training" / "<b>.txt").write_text("no picture")
    return made


def test_the_account_is_printed_and_the_next_command_is_right(root: Path, in_process: Command) -> None:
    done = in_process("data", root)
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "layout    folders are split/class (Training/ = training, Testing/ = test); validation is"
    )
    assert "found     35 files" in lines and any("24 training" not in line and "9 test" in line for line in lines)
    assert any(line.startswith("left out  1 left by a computer") for line in lines)
    assert lines[-1] == f"next: edgebench train --dataset {shlex.quote(str(root))}"
    as_class = in_process("data", root, "--layout", "class")
    assert "2 classes (Testing, Training)" in as_class.stdout
    assert as_class.stdout.splitlines()[-1].endswith("--layout class")


def test_json_is_the_account_of_the_api(root: Path, in_process: Command) -> None:
    done = in_process("data", root, "--json")
    read = jsonio.decode(Account, json.loads(done.stdout)["account"], "stdout")
    assert read == edgebench.data(root) and read.adds_up()
    assert read.used == {"train": 21, "validation": 3, "test": 9}


def test_the_sheet_shows_pictures_of_each_class(root: Path, in_process: Command, tmp_path: Path) -> None:
    (root / "Training" / "cat" / "000.png").write_bytes(b"\x89PNG broken")
    done = in_process("data", root, "--sheet", tmp_path / "sheet.png", "--image-size", "16")
    assert done.returncode == 0 and "sheet: " in done.stdout
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1000, "pictures are drawn"
    assert [path.name for path in tmp_path.glob("*.partial")] == []
    assert not list((tmp_path / "cache").rglob("*.npy")), "no decoded picture is kept for a sheet"
    many = write_images(
        tmp_path / "many", {f"class with a {'very ' * i}long name {i:02}": 3 for i in range(26)} | {"猫": 3}, size=4
    )
    edgebench.data(many, sheet=tmp_path / "many.png", image_size=8)
    for bad in ("sheet.jpg", "nowhere/sheet.png"):
        with pytest.raises(UsageError, match="--sheet"):
            edgebench.data(root, sheet=tmp_path / bad)


def test_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        edgebench.data(tmp_path / "nowhere/")
    with pytest.raises(BadFile, match="no class folders"):
        edgebench.data(tmp_path)
    with pytest.raises(UsageError, match="setting"):
        edgebench.data(tmp_path, layouts="class")
    assert edgebench.data("digits", subset="300").count("other_subset") == 1797 - 300 - 360


def test_what_a_scan_found_is_printed(root: Path) -> None:
    side = Spread(least=7, median=12, most=12)
    pictures = Pictures(widths=side, heights=Spread(least=9, median=9, most=9), modes={"RGB": 35}, bits={"8": 35})
    lines = told.lines(replace(edgebench.data(root), pictures=pictures))
    assert "pixels    width 7 to 12 (median 12), height 9; 35 RGB; 35 of 8 bits; copies too" in lines


def test_the_page_and_a_training_tell_the_same(root: Path) -> None:
    account = edgebench.data(root)
    short = account_text.short(account)
    assert short[0] == "data: 33 pictures of 3 classes (cat, dog, owl): 21 training, 3 validation, 9 test"
    assert short[2].startswith("data: 2 of 35 files left out: 1 left by a computer")
    made = make_artifact()
    data = replace(made.training.data, account=account)
    artifact = replace(made, training=replace(made.training, data=data))
    html = str(accounts.section_of([artifact, artifact]))
    assert "&lt;b&gt;.txt" in html and html.count("33 pictures") == 1
    assert account_text.short(jsonio.decode(Account, json.loads(jsonio.dumps(account)), "here")) == short
    assert accounts.section_of([]) is None
