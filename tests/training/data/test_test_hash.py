"""The hash of a test split: the same for the same images and labels, and for no others."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from datasets import LAYOUTS, write_split_images

from edgebench.training import data


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))


def test_the_test_split_is_known_by_its_images(tmp_path: Path) -> None:
    """Whatever the seed, the subset, the size, and the names and the place of the files: but not by these alone."""
    folder = write_split_images(tmp_path / "robots")
    first = data.load(str(folder), "full", 8, 0).info
    assert first.test_sha256 == data.load(str(folder), "15", 16, 3).info.test_sha256 != ""
    shutil.copytree(folder, tmp_path / "elsewhere" / "robots")
    moved = tmp_path / "elsewhere" / "robots"
    for file in sorted((moved / "test").glob("*/*.png")):
        file.rename(file.with_name(f"renamed-{file.name}"))
    again = data.load(str(moved), "full", 8, 0).info
    assert again.test_sha256 == first.test_sha256 and again.indices_sha256 != first.indices_sha256
    file = next(folder.glob("test/cat/*.png"))
    seen = file.stat()
    content = bytearray(file.read_bytes())
    content[-20] ^= 255  # in a checksum: the pixels and the size stay
    file.write_bytes(content)
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns + 1))
    assert data.load(str(folder), "full", 8, 0, skip_broken=True).info.test_sha256 != first.test_sha256
    (folder / "test" / "cat").rename(folder / "test" / "x")
    (folder / "test" / "dog").rename(folder / "test" / "cat")
    (folder / "test" / "x").rename(folder / "test" / "dog")
    assert data.load(str(folder), "full", 8, 0, skip_broken=True).info.test_sha256 != first.test_sha256, "other labels"


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\xff\n\xfe"])
def test_a_damaged_cache_of_contents_is_made_anew(damage: bytes, tmp_path: Path) -> None:
    folder = write_split_images(tmp_path / "robots")
    first = data.load(str(folder), "full", 8, 0).info
    (kept,) = (tmp_path / "cache" / "contents").iterdir()
    kept.write_bytes(damage)
    assert data.load(str(folder), "full", 8, 0).info == first
    assert len(kept.read_bytes()) > 100, "it was written again"


def test_no_two_datasets_share_it(tmp_path: Path) -> None:
    found = {name: data.load(str(LAYOUTS[name](tmp_path / name)), "full", 8, 0).info.test_sha256 for name in LAYOUTS}
    alike = [("cifar-10-batches-bin", "cifar-10-batches-py"), ("cifar-100-binary", "cifar-100-python")]
    assert all(found[one] == found[other] for one, other in alike), "two layouts of the same images"
    assert found["fashion-mnist"] == found["fashion-mnist-plain"]
    assert len(set(found.values())) == len(LAYOUTS) - 4, "and these CIFARs have the same few images"
