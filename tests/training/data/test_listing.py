"""Every file of a folder is accounted for: pictures by ending and by content, and what computers leave behind."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from datasets import write_images, write_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgebench.errors import BadFile
from edgebench.records.account import Account
from edgebench.training import data

PICTURE = np.random.default_rng(0)
JUNK = {
    "@eaDir/000.png/SYNOPHOTO_THUMB_M.jpg": "thumbnail", ".thumbnails/000.png": "thumbnail",
    "__MACOSX/._000.png": "system", "__MACOSX/cat/x.png": "system", ".DS_Store": "system", "Thumbs.db": "system",
    "desktop.ini": "system", "._000.png": "system", ".ipynb_checkpoints/000-checkpoint.png": "system",
    "lost+found/x.png": "system", "000.png.part": "system", "000.jpg~": "system", ".git/objects/aa/00.png": "system",
    ".hidden.png": "hidden", ".cache/000.png": "hidden",
    "README.md": "not_a_picture", "notes": "not_a_picture", "labels.csv": "not_a_picture", "000.xml": "not_a_picture",
    "video.mp4": "not_a_picture", "model.weights": "not_a_picture", "BMW": "not_a_picture",
    "cloud.pcd": "not_a_picture", "logo.svg": "needs_program", "page.eps": "needs_program", "raw.NEF": "needs_program",
}  # fmt: skip


def account(root: Path) -> Account:
    found = data.account(data.find(str(root)))
    assert found.adds_up()
    assert found.found == sum(1 for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    return found


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(("", "cat", "dog", "cat/2024")), st.sampled_from(sorted(JUNK))), max_size=12))
def test_what_computers_leave_is_counted_and_never_used(mess: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root, expected = Path(folder, "pets"), dict.fromkeys(JUNK.values(), 0)
        for number, name in enumerate(("cat", "dog")):
            (root / name).mkdir(parents=True)
            for i in range(4):
                write_picture(root / name / f"{i}.png", 4 * number + i)
        for where, name in set(mess):
            (root / where / name).parent.mkdir(parents=True, exist_ok=True)
            (root / where / name).write_text("BM mess" if name == "BMW" else "mess")
            expected[JUNK[name]] += 1
        found = account(root)
    assert found.classes == ("cat", "dog") and sum(found.used.values()) == 8
    assert {left.reason: left.count for left in found.left_out} == {k: v for k, v in expected.items() if v}
    for left in found.left_out:
        assert len(left.names) == min(3, left.count)


def picture() -> Image.Image:
    return Image.fromarray(PICTURE.integers(0, 256, (8, 8, 3), np.uint8))


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "DDS", "QOI"])
@pytest.mark.parametrize("ending", ["", ".dat", ".image"])
def test_a_picture_is_known_by_its_content(name: str, ending: str, tmp_path: Path) -> None:
    root = write_images(tmp_path / "pets", {"cat": 3, "dog": 3})
    try:
        picture().save(root / "cat" / f"photo{ending}", format=name)
    except (KeyError, OSError, ValueError):
        pytest.skip(f"this Pillow writes no {name}")
    found = account(root)
    assert sum(found.used.values()) == 7 and not found.left_out


def test_links_pipes_and_what_lies_outside_of_the_classes(tmp_path: Path) -> None:
    root = write_images(tmp_path / "pets", {"cat": 4, "dog": 4})
    (root / "cat" / "round").symlink_to(root, target_is_directory=True)
    (root / "cat" / "notes.txt").symlink_to(tmp_path / "nothing")
    os.mkfifo(root / "dog" / "pipe")
    picture().save(root / "cover.png")
    found = account(root)
    assert {left.reason: left.names for left in found.left_out} == {
        "folder_link": ("cat/round",), "link_broken": ("cat/notes.txt",), "not_a_file": ("dog/pipe",),
        "no_class": ("cover.png",),
    }  # fmt: skip


def test_names_are_printable(tmp_path: Path) -> None:
    root = write_images(tmp_path / "pets", {"cat": 3, "dog": 3})
    (root / "cat" / "\x1b[31mred\n").write_text("no picture")
    Path(os.fsdecode(os.fsencode(root) + b"/cat/\xff")).write_text("no picture")
    (left,) = account(root).left_out
    assert set(left.names) == {"cat/?[31mred?", "cat/?"}


def test_what_needs_a_plug_in_is_counted_with_its_package(tmp_path: Path) -> None:
    root = write_images(tmp_path / "pets", {"cat": 3, "dog": 3})
    (root / "cat" / "IMG_1.HEIC").write_bytes(b"")
    (root / "cat" / "from a phone").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    (left,) = account(root).left_out
    assert (left.reason, left.count) == ("needs_plugin", 2)
    for path in (root / "dog").iterdir():
        path.rename(path.with_suffix(".heic"))
    with pytest.raises(BadFile, match="class 'dog' of dataset pets has 0 images") as caught:
        account(root)
    assert "5 pictures that need a plug-in" in caught.value.fix and "pip install pillow-heif" in caught.value.fix
