"""Pictures of more than 8 bits: the range that becomes black and white, and that infer.py does the same."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rasters
from datasets import random_images, write_images
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgebench.errors import BadFile
from edgebench.records.levels import Levels
from edgebench.report import deploy
from edgebench.training import data
from edgebench.training.data import contrast, decoding, formats, levels

SIZE = 12
THERMAL = (7900, 8020)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


def ramps(low: float, high: float, dtype: str, count: int = 10, seed: int = 0) -> list[np.ndarray]:
    """Pictures whose values go from low to high in steps, each in an order of its own."""
    values = np.linspace(low, high, 32 * 32).astype(dtype)
    random = np.random.default_rng(seed)
    return [random.permutation(values).reshape(32, 32) for _ in range(count)]


def found_levels(pictures: list[np.ndarray]) -> Levels:
    ends = [levels.ends(Image.fromarray(picture)) for picture in pictures]
    found = levels.of_pictures([pair for pair in ends if pair])
    assert found is not None
    return found


def write_deep(
    root: Path, low: float, high: float, dtype: str = "uint16", count: int = 10, seed: int = 0, **odd: np.ndarray
) -> Path:
    """Two classes of warm spots, at the left and at the right, as TIFF; `odd`: more pictures of the class "left"."""
    random = np.random.default_rng(seed)
    for name, x in (("left", 8), ("right", 24)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            xs, ys = np.meshgrid(np.arange(32), np.arange(32))
            spot = np.exp(-((xs - x) ** 2 + (ys - random.integers(8, 24)) ** 2) / 30) * random.uniform(0.9, 1, (32, 32))
            picture = (low + (high - low) * spot).astype(dtype)
            (root / name / f"{i}.tiff").write_bytes(rasters.deep(picture, "TIFF"))
    for name, picture in odd.items():
        (root / "left" / f"{name}.tiff").write_bytes(rasters.deep(picture, "TIFF"))
    return root


# The rule


RANGES = [("uint16", 0, 65_535), ("int32", -(2**30), 2**30), ("float32", -1e6, 1e6), ("float32", 0, 1)]


@settings(max_examples=40)
@given(st.sampled_from(RANGES), st.floats(0, 0.9), st.floats(0.002, 0.1), st.booleans())
def test_any_range_is_spread_over_256_values(kind: tuple[str, int, int], start: float, share: float, odd: bool) -> None:
    """Whatever the type and however narrow the range, though 16 bits have no values between theirs."""
    dtype, least, most = kind
    low, high = (least + (most - least) * at for at in (start, start + share))
    pictures = ramps(low, high, dtype, count=50)
    if odd:  # a dead pixel in each picture, and a spoiled picture
        for picture in pictures:
            picture[3, 5] = most
        pictures[7][:] = least
    found = found_levels(pictures)
    assert low - 1 <= found.low < low + 0.01 * (high - low) + 1
    assert high - 0.01 * (high - low) - 1 < found.high <= high + 1
    grey = levels.in_8_bits(Image.fromarray(pictures[0]), found)
    steps = len(np.unique(pictures[0]))
    assert len(np.unique(grey)) >= min(steps, 256) * 0.9 and grey.min() == 0 and grey.max() == 255
    order = pictures[0].argsort(axis=None)
    assert (np.diff(grey.flat[order].astype(int)) >= 0).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_a_set_that_uses_all_of_16_bits_comes_out_as_if_divided_by_257(seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 65_536, (32, 32), np.uint16)
    found = levels.in_8_bits(Image.fromarray(picture), found_levels(ramps(0, 65_535, "uint16")))
    assert np.abs(found - np.rint(picture / 257)).max() <= 1


def test_what_is_no_number_is_black_and_infinity_is_at_the_ends() -> None:
    picture = np.array([[np.nan, -np.inf, np.inf, 2, 3, 4]], np.float32)
    assert levels.ends(Image.fromarray(picture)) == (2, 4)
    assert levels.in_8_bits(Image.fromarray(picture), Levels(low=2, high=4)).tolist() == [[0, 0, 255, 0, 128, 255]]
    assert levels.ends(Image.fromarray(np.full((2, 2), np.nan, np.float32))) is None


@pytest.mark.parametrize("value", [0, 40_000, -3e38, 3e38])
def test_equal_values_everywhere_are_black(value: float) -> None:
    picture = np.full((4, 4), value, np.float32)
    assert not levels.in_8_bits(Image.fromarray(picture), found_levels([picture])).any()


# A dataset


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint16", *THERMAL), ("uint16", 0, 4095), ("float32", 0, 1), ("float32", -40, 120), ("int32", 70_000, 90_000)],
)
def test_a_narrow_range_keeps_its_information(dtype: str, low: float, high: float, tmp_path: Path) -> None:
    root = write_deep(tmp_path / "spots", low, high, dtype)
    splits = data.load(str(root), "full", SIZE, 0)
    assert splits.depths.deep == len(splits.train) + len(splits.validation) and splits.depths.levels
    assert low <= splits.depths.levels.low < splits.depths.levels.high <= high
    for part in (splits.train, splits.validation, splits.test):
        images = part.images[:]
        left, right = (images[:, :, half].mean(axis=(1, 2, 3)) for half in (slice(SIZE // 2), slice(SIZE // 2, None)))
        assert ((left > right) == (part.labels == 0)).all() and images.std() > 20
    again, streamed = (data.load(str(root), "full", SIZE, 0, stream=stream) for stream in (False, True))
    for other in (again, streamed):
        assert other.depths == splits.depths
        assert np.array_equal(other.test.images[:], splits.test.images[:])
    assert contrast.notices(splits) == [
        f"{splits.depths.deep} images have more than 8 bits: {splits.depths.levels.low:g} becomes black and "
        f"{splits.depths.levels.high:g} white"
    ]


def test_test_images_do_not_decide_the_range(tmp_path: Path) -> None:
    write_deep(tmp_path / "spots" / "train", *THERMAL)
    write_deep(tmp_path / "spots" / "test", 0, 65_535, seed=1)
    found = data.load(str(tmp_path / "spots"), "full", SIZE, 0).depths.levels
    assert found and THERMAL[0] <= found.low < found.high <= THERMAL[1]


def test_a_recorded_range_is_used_instead(tmp_path: Path) -> None:
    root = write_deep(tmp_path / "spots", *THERMAL)
    own = data.load(str(root), "full", SIZE, 0)
    recorded = levels.Depths(levels=Levels(low=0, high=65_535))
    other = data.load(str(root), "full", SIZE, 0, depths=recorded)
    assert other.info == own.info and other.test.images[:].std() < 1 < own.test.images[:].std()


def test_pictures_of_8_bits_stay_as_they_are_beside_deep_ones(tmp_path: Path) -> None:
    plain = write_images(tmp_path / "plain", {"left": 5, "right": 5}, size=SIZE)
    before = {image.tobytes() for part in parts(data.load(str(plain), "full", SIZE, 0)) for image in part.images[:]}
    mixed = write_deep(tmp_path / "mixed", *THERMAL, count=4)
    for path in plain.glob("*/*.png"):
        path.rename(mixed / path.parent.name / path.name)
    splits = data.load(str(mixed), "full", SIZE, 0)
    after = {image.tobytes() for part in parts(splits) for image in part.images[:]}
    assert before <= after and splits.depths.levels and splits.depths.levels.low >= THERMAL[0]


def parts(splits: data.Splits) -> tuple[data.Images, ...]:
    return splits.train, splits.validation, splits.test


def test_the_cache_of_8_bit_pictures_is_the_former_one_and_that_of_deep_ones_has_their_range(tmp_path: Path) -> None:
    files = [decoding.File("a/b.png", 10, 20)]
    former = decoding._key(tmp_path, files, SIZE)
    assert decoding._key(tmp_path, files, SIZE, None) == former
    ranges = [Levels(low=0, high=1), Levels(low=0, high=2), Levels(low=1, high=2)]
    assert len({former, *(decoding._key(tmp_path, files, SIZE, each) for each in ranges)}) == 4


@pytest.mark.parametrize("damage", [b"", b"{}x", b'{"deep": "many"}'])
def test_a_damaged_record_of_the_range_is_made_anew(damage: bytes, tmp_path: Path, cache: Path) -> None:
    root = write_deep(tmp_path / "spots", *THERMAL)
    expected = data.load(str(root), "full", SIZE, 0).depths
    (path,) = cache.glob("*.depths.json")
    path.write_bytes(damage)
    assert data.load(str(root), "full", SIZE, 0).depths == expected


@pytest.mark.parametrize("value, word", [(np.float32(0.5), "floating-point"), (np.int32(70_000), "32 bits")])
def test_a_range_that_training_did_not_see_is_refused(value: np.generic, word: str, tmp_path: Path) -> None:
    (tmp_path / "x.tiff").write_bytes(rasters.deep(np.full((4, 4), value), "TIFF"))
    with pytest.raises(BadFile, match=word):
        decoding.decode(tmp_path / "x.tiff", SIZE)
    decoding.decode(tmp_path / "x.tiff", SIZE, Levels(low=0, high=1))


# What a user is told


def test_a_range_stretched_by_a_few_values_is_told(tmp_path: Path) -> None:
    odd = {f"odd{i}": np.full((32, 32), 65_535, np.uint16) + np.uint16(0) - np.uint16(i) for i in range(5)}
    told = contrast.notices(data.load(str(write_deep(tmp_path / "spots", *THERMAL, **odd)), "full", SIZE, 0))
    assert "at most" in told[1] and "a few values far from the others stretch the range" in told[1]


def test_colour_of_which_only_the_upper_bits_are_read_is_told(tmp_path: Path, sixteen_bit_colour) -> None:
    for start, name in enumerate("ab"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(5):
            (tmp_path / "set" / name / f"{i}.png").write_bytes(sixteen_bit_colour(4095, seed=10 * start + i))
    told = contrast.notices(data.load(str(tmp_path / "set"), "full", SIZE, 0))
    assert told[0].endswith("images have 16 bits a colour, of which Pillow reads the upper 8")
    assert "grey values: save them with 8 bits" in told[1]


@pytest.fixture
def sixteen_bit_colour():
    """A PNG of 16 bits a channel, which Pillow cannot write."""
    import struct
    import zlib

    def made(most: int, seed: int) -> bytes:
        values = np.random.default_rng(seed).integers(0, most, (SIZE, SIZE, 3)).astype(">u2")
        rows = b"".join(b"\0" + row.tobytes() for row in values)
        chunks = (
            (b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 16, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )

    return made


def test_classes_of_one_colour_are_told(tmp_path: Path) -> None:
    root = write_images(tmp_path / "set", {"a": 6, "b": 6}, size=SIZE)
    for i, path in enumerate(sorted((root / "b").iterdir())):
        Image.new("RGB", (SIZE, SIZE), (i, 9, 9)).save(path)
    (told,) = contrast.notices(data.load(str(root), "full", SIZE, 0))
    assert re.fullmatch(r"warning: each of the \d images of class 'b' looked at is of one colour", told)
    for i, path in enumerate(sorted((root / "a").iterdir())):
        Image.new("RGB", (SIZE, SIZE), (i, 99, 9)).save(path)
    (told,) = contrast.notices(data.load(str(root), "full", SIZE, 0))
    assert "each image is of one colour" in told


# infer.py


def infer(folder: Path, found: Levels | None) -> dict:
    """The names of an infer.py, without a model."""
    from edgebench.records import jsonio

    settings = {
        "levels": found, "formats": list(formats.FORMATS), "width": SIZE, "height": SIZE, "mean": [0], "std": [1],
    }  # fmt: skip
    (folder / "preprocessing.json").write_text(jsonio.dumps(settings))
    names = {"__name__": "infer", "__file__": str(folder / "infer.py")}
    exec(compile(deploy.infer_py("a runtime", "run = None"), "infer.py", "exec"), names)
    return names


PLAIN = ("RGB", "RGBA", "L", "LA", "P", "1", "CMYK")


@settings(max_examples=60)
@given(
    kind=st.sampled_from([*RANGES, *PLAIN]), ending=st.sampled_from(["PNG", "TIFF", "PPM"]), seed=st.integers(0, 99),
    found=st.sampled_from([None, Levels(low=0, high=65_535), Levels(low=7900, high=8020), Levels(low=-5.5, high=0.25)]),
)  # fmt: skip
def test_infer_py_sees_the_pixels_of_training(
    kind, ending: str, found: Levels | None, seed: int, tmp_path_factory
) -> None:
    folder = tmp_path_factory.mktemp("deployed")
    if isinstance(kind, str):
        image = Image.fromarray(random_images(1, 20, seed=seed)[0]).convert(kind)
    else:
        image = Image.fromarray(ramps(kind[1], kind[2], kind[0], 1, seed)[0])
    try:
        image.save(folder / "x", ending)
    except (OSError, ValueError):  # this format has no such mode
        return
    assert_alike(infer(folder, found), folder / "x", found)


def test_infer_py_sees_transparent_16_bits_and_turned_pictures(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(ramps(0, 9000, "uint16", 1)[0])
    image.save(tmp_path / "turned.png", exif=exif)
    image.save(tmp_path / "clear.png", transparency=int(np.asarray(image)[3, 4]))
    found = Levels(low=10, high=8000)
    names = infer(tmp_path, found)
    for name in ("turned.png", "clear.png"):
        assert_alike(names, tmp_path / name, found)


def assert_alike(names: dict, path: Path, found: Levels | None) -> None:
    try:
        expected = decoding.decode(path, SIZE, found)
    except BadFile:
        with pytest.raises(ValueError, match="the range is unknown"):
            names["pixels"](Image.open(path))
    else:
        assert np.array_equal(np.asarray(names["pixels"](Image.open(path))), expected)
