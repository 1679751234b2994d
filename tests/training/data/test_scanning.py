"""The scan of picture files: what it keeps, and the processes that look at the files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from datasets import write_images
from pictures import alike, files_of, resaved, scene

from edgebench.errors import BadFile
from edgebench.training import data
from edgebench.training.data import decoding, scanning

PROCESS = scanning.Looker  # tests/conftest.py puts another in its place


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scanned"


def test_a_scan_is_kept_and_only_new_files_are_looked_at(tmp_path: Path, cache: Path) -> None:
    root = write_images(tmp_path / "animals", 4)
    (root / "cat/broken.png").write_text("no picture")
    seen: list[int] = []
    first = scanning.scan(root, files_of(root), lambda done, total: seen.append(total))
    again = scanning.scan(root, files_of(root), lambda done, total: seen.append(total))
    assert seen == [13] and again.reasons == first.reasons == {4: "not an image that Pillow can read"}
    scene(0).save(root / "cat/000.png")
    (root / "dog/001.png").unlink()
    changed = scanning.scan(root, files_of(root), lambda done, total: seen.append(total))
    assert seen == [13, 1] and changed.facts["width"][0] == 64 and changed.reasons == first.reasons
    np.testing.assert_array_equal(changed.facts[1:6], first.facts[1:6])
    np.testing.assert_array_equal(changed.thumbs()[7:], first.thumbs()[8:])


def test_without_near_copies_no_scan_of_them_is_made_and_one_that_is_there_is_used(tmp_path: Path) -> None:
    root = write_images(tmp_path / "animals", 4)
    seen: list[int] = []
    for near in (False, False, True, True, False):
        found = scanning.scan(root, files_of(root), lambda done, total: seen.append(total), near=near)
        assert found.facts["hashes"].any() == (len(seen) == 2)
    assert seen == [12, 12]


def test_without_near_copies_equal_pictures_are_found_all_the_same(tmp_path: Path) -> None:
    root = tmp_path / "scenes"
    root.mkdir()
    for seed in range(3):
        scene(seed).save(root / f"{seed}.png")
        scene(seed).save(root / f"{seed}.bmp")
        resaved(scene(seed), "jpeg75").save(root / f"{seed}-again.png")
    found = alike(root, near_copies=False)
    assert all(found[f"{seed}.png"] == found[f"{seed}.bmp"] for seed in range(3))
    assert len(set(found.values())) == 6 and all(same == near for same, near in found.values())
    assert len({near for _, near in alike(root).values()}) == 3


@pytest.mark.parametrize("damage", [lambda c: c[:-40], lambda c: b"", lambda c: c[:3000] + b"x" + c[3001:]])
def test_a_damaged_scan_is_made_anew(damage, tmp_path: Path, cache: Path) -> None:
    root = write_images(tmp_path / "animals", 12)
    first = data.load(str(root), "full", 16, 0).info
    for path in cache.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    assert data.load(str(root), "full", 16, 0).info == first


def test_a_file_that_is_being_written_is_not_taken_for_an_abandoned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = os.replace

    def another_process_first(source: str, target: Path) -> None:
        decoding.discard_abandoned(tmp_path)
        move(source, target)

    monkeypatch.setattr(os, "replace", another_process_first)
    scanning.write(tmp_path / "made.npz", numbers=np.arange(3))
    assert scanning.members(tmp_path / "made.npz", "numbers")[0].tolist() == [0, 1, 2]


def test_a_crash_of_the_library_is_one_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_images(tmp_path / "animals", 4)
    program = tmp_path / "crashing.py"
    program.write_text(
        "import os, sys\n"
        "from edgebench.training.data import looking\n"
        "real = looking.opened\n"
        "def opened(path):\n"
        "    if path.name == '002.png' and path.parent.name == 'dog': os.abort()\n"
        "    return real(path)\n"
        "looking.opened = opened\n"
        "looking.answer(sys.stdin.buffer, sys.stdout.buffer)\n"
    )
    monkeypatch.setattr(scanning, "PROGRAM", (str(program),))
    monkeypatch.setattr(scanning, "Looker", PROCESS)
    files = files_of(root)
    found = scanning.scan(root, files)
    assert [files[row].name for row in found.reasons] == ["dog/002.png"]
    assert found.reasons[6] == scanning.CRASHED and found.facts["broken"].sum() == 1
    with pytest.raises(BadFile, match=r"1 of 12 images cannot be decoded: .*dog/002.png \(the library"):
        data.load(str(root), "full", 16, 0)
