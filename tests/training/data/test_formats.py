"""Every picture format that is read, told by content; what is not opened at all; what needs a plug-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasters
from PIL import Image

from edgebench.errors import BadFile
from edgebench.records.levels import Levels
from edgebench.training import data
from edgebench.training.data import decoding, formats

# Readers of Pillow's that are left out, and why: see the top of formats.py.
LEFT_OUT = {"EPS", "IPTC", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FPX", "MIC"}


# Pillow says of one format (IM) that a later Pillow will not read it.
pytestmark = pytest.mark.filterwarnings("ignore:.*image format is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))


def test_every_reader_of_pillow_is_listed_or_left_out_on_purpose() -> None:
    Image.init()
    known = {*formats.FORMATS, *(plugin.format for plugin in formats.PLUGINS)}
    assert set(Image.OPEN) <= known | LEFT_OUT and not LEFT_OUT & set(formats.readable())
    assert set(formats.readable()) == known & set(Image.OPEN)


def test_the_endings_are_pillows() -> None:
    Image.init()
    ours = {ending: name for name, endings in formats.FORMATS.items() for ending in endings}
    theirs = {ending: name for ending, name in Image.registered_extensions().items() if name in formats.readable()}
    assert theirs.items() <= ours.items()


@pytest.mark.parametrize("name", [name for name in formats.FORMATS if name != "SPIDER"])  # floats: see below
@pytest.mark.parametrize("grey", [0, 255])
def test_a_picture_of_each_format_is_read_by_its_content(name: str, grey: int, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(rasters.content(name, grey))
    assert abs(decoding.decode(path, 8).astype(int) - grey).max() <= 1


def test_a_spider_picture_of_floats_is_read_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    values = np.linspace(-2, 3, 8, dtype=np.float32).repeat(8).reshape(8, 8)
    Image.fromarray(values).save(path, format="SPIDER")
    grey = decoding.decode(path, 8, Levels(low=-2, high=3))[..., 0]
    assert abs(grey - (values + 2) * 51).max() <= 1


def test_a_folder_of_all_formats_with_an_ending_is_a_dataset(tmp_path: Path) -> None:
    endings = {name: endings[0] for name, endings in formats.FORMATS.items() if endings}
    for label, grey in (("dark", 0), ("light", 255)):
        (tmp_path / "all" / label).mkdir(parents=True)
        for name, ending in endings.items():
            (tmp_path / "all" / label / f"{name}{ending}").write_bytes(rasters.content(name, grey))
    splits = data.load(str(tmp_path / "all"), "full", 8, 0)
    assert {left.reason for left in splits.info.account.left_out} == {"copy"}, "all are read"
    for part in (splits.train, splits.validation, splits.test):
        assert [int(image.mean() > 127) for image in part.images[:]] == part.labels.tolist()


def test_no_program_is_started_for_postscript(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(BadFile, match="not an image that Pillow can read"):
        decoding.decode(tmp_path / "a.png", 8)


@pytest.mark.skipif("HEIF" in formats.readable(), reason="the plug-in is installed")
@pytest.mark.parametrize(
    ("start", "package"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(40), "pillow-heif"),
        (b"\0\0\0\x18ftypmif1" + bytes(40), "pillow-heif"),
        (b"\xff\x0a" + bytes(40), "pillow-jxl-plugin"),
    ],
)
def test_what_needs_a_plug_in_names_it(start: bytes, package: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(start)
    with pytest.raises(BadFile, match=f"needs a plug-in: pip install {package}"):
        decoding.decode(path, 8)
    assert formats.missing_plugin("a/PHOTO.HEIC") is formats.PLUGINS[0]
    assert formats.missing_plugin("photo.jpg") is None
