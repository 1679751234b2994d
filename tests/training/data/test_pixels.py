"""Pictures of every colour mode become the RGB that a viewer shows, at the size and with the filter of deployment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasets import random_images
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgebench.errors import BadFile
from edgebench.training import data
from edgebench.training.data import decoding
from edgebench.training.data.levels import to_rgb
from edgebench.training.data.pixels import in_threads

SIZE = 8


def decoded(image: Image.Image, tmp_path: Path, ending: str = "png", **options) -> np.ndarray:
    path = tmp_path / f"image.{ending}"
    image.save(path, **options)
    return decoding.decode(path, SIZE)


def flat(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (SIZE, SIZE), colour)


def with_transparent_palette() -> Image.Image:
    image = flat("P", 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    return image


@pytest.mark.parametrize(
    "image, ending, options, expected",
    [
        (flat("RGB", (10, 20, 30)), "png", {}, (10, 20, 30)),
        (flat("L", 77), "png", {}, (77, 77, 77)),
        (flat("1", 1), "png", {}, (255, 255, 255)),
        (flat("1", 0), "png", {}, (0, 0, 0)),
        (with_transparent_palette(), "png", {}, (10, 20, 30)),
        (with_transparent_palette(), "gif", {}, (10, 20, 30)),
        (with_transparent_palette(), "png", {"transparency": 1}, (255, 255, 255)),
        (with_transparent_palette(), "gif", {"transparency": 1}, (255, 255, 255)),
        (with_transparent_palette(), "png", {"transparency": 0}, (10, 20, 30)),
        (flat("RGBA", (10, 20, 30, 255)), "png", {}, (10, 20, 30)),
        (flat("RGBA", (10, 20, 30, 0)), "png", {}, (255, 255, 255)),
        (flat("RGBA", (0, 100, 200, 51)), "png", {}, (204, 224, 244)),
        (flat("LA", (100, 0)), "png", {}, (255, 255, 255)),
        (flat("LA", (0, 51)), "png", {}, (204, 204, 204)),
        (flat("L", 77), "png", {"transparency": 77}, (255, 255, 255)),
        (flat("RGB", (1, 2, 3)), "png", {"transparency": (1, 2, 3)}, (255, 255, 255)),
        (flat("CMYK", (0, 255, 255, 0)), "tiff", {}, (255, 0, 0)),
        (flat("CMYK", (0, 0, 0, 255)), "jpg", {"quality": 100}, (0, 0, 0)),
        (flat("I;16", 65535), "png", {}, (255, 255, 255)),
        (flat("I;16", 257 * 100), "png", {}, (100, 100, 100)),
        (flat("I;16", 1000), "tiff", {}, (4, 4, 4)),
        (flat("I", 257 * 200), "tiff", {}, (200, 200, 200)),
        (flat("I", 65535), "tiff", {}, (255, 255, 255)),
    ],
    ids=lambda value: getattr(value, "mode", None),
)
def test_colours_are_those_a_viewer_shows(image, ending: str, options: dict, expected, tmp_path: Path) -> None:
    found = decoded(image, tmp_path, ending, **options)
    assert found.dtype == np.uint8 and found.shape == (SIZE, SIZE, 3)
    np.testing.assert_array_equal(found.reshape(-1, 3), np.tile(expected, (SIZE * SIZE, 1)))


@given(st.integers(0, 65535))
def test_16_bits_are_divided_by_257_not_clipped(value: int) -> None:
    for mode in ("I;16", "I"):
        assert to_rgb(flat(mode, value)).getpixel((0, 0)) == (round(value / 257),) * 3


def test_16_bit_transparency_is_white() -> None:
    image = flat("I;16", 300)
    image.info["transparency"] = 300
    assert to_rgb(image).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("image, word", [(flat("F", 0.5), "floating-point"), (flat("I", 70_000), "32 bits")])
def test_grey_without_a_known_range_is_refused(image: Image.Image, word: str, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=word):
        decoded(image, tmp_path, "tiff")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_was_held(orientation: int, tmp_path: Path) -> None:
    upright = random_images(1, SIZE)[0]
    undo = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
        6: np.rot90, 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(undo(upright)))
    np.testing.assert_array_equal(decoded(stored, tmp_path, exif=exif), upright)


def test_files_and_arrays_are_resized_alike(tmp_path: Path) -> None:
    for size in (30, 5):
        image = random_images(1, size)[0]
        expected = data.resize(image[None], SIZE)[0]
        np.testing.assert_array_equal(decoded(Image.fromarray(image), tmp_path), expected)
        pillows = Image.fromarray(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(expected, np.asarray(pillows))


def test_an_image_that_is_not_square_is_squeezed_not_cropped(tmp_path: Path) -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 20:] = 255
    found = decoded(Image.fromarray(wide), tmp_path)
    assert (found[:, :3] == 0).all() and (found[:, 5:] == 255).all()


def test_threads_do_each_item_once_and_pass_on_an_error() -> None:
    done: list[int] = []
    told: list[int] = []
    in_threads(done.append, 600, told.append)
    assert sorted(done) == list(range(600)) and told == [256, 512, 600]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda i: 1 // (i - 5), 10)
