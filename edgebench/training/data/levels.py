"""Pictures of more than 8 bits: the range of grey values of a training set, and its values in 8 bits.

The rule: of each training and validation picture, a thousandth of the pixels at either end does not count, and of the
ends of all pictures, a fiftieth. What is left becomes 0 to 255. So neither dead pixels nor a spoiled picture stretch
the range. A file does not tell it: a thermal camera stores 14 bits in 16 and uses 120 values of them, and floats have
no depth at all. A set that uses all of 0 to 65,535 comes out as if divided by 257.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.records.levels import Levels
from edgebench.training.data.formats import opened
from edgebench.training.data.pixels import in_threads

if TYPE_CHECKING:
    from PIL import Image

LEFT_OUT_PIXELS = 0.1  # percent at either end of a picture's values
LEFT_OUT_PICTURES = 50  # one in so many at either end
MOST = 2_000  # deep pictures that are decoded for their range: more change nothing
WITHOUT = Levels(low=0, high=65_535)  # for 16 bits, if no picture of the training set has more than 8


@dataclass(frozen=True, kw_only=True)
class Depths:
    """How many pictures are deep, their levels, and of how many files with 16 bits Pillow reads only the upper 8."""

    deep: int = 0
    upper_bits: int = 0
    levels: Levels | None = None


NOT_DEEP = Depths()


def is_deep(image: Image.Image) -> bool:
    """Whether a picture has one channel of 16 or 32 bits or of floats, from its header."""
    return image.mode == "F" or image.mode.startswith("I")


def upper_bits_only(image: Image.Image) -> bool:
    """Whether this is a file of 16 bits a channel of which Pillow reads the upper 8: colour, or grey with alpha."""
    raw = [str(part) for tile in getattr(image, "tile", ()) for part in np.atleast_1d(np.array(tile[3], object))]
    return not is_deep(image) and image.format in ("PNG", "TIFF") and any(";16" in part for part in raw)


def ends(image: Image.Image) -> tuple[float, float] | None:
    """The range of a deep picture's values without its outliers; None if no value is a finite number."""
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = np.percentile(values, (LEFT_OUT_PIXELS, 100 - LEFT_OUT_PIXELS), method="nearest")
    return float(low), float(high)


def of_pictures(found: Sequence[tuple[float, float]]) -> Levels | None:
    """The levels of a set, from the ends of each deep picture in it; None if there are none."""
    if not found:
        return None
    lows, highs = (np.sort(side) for side in zip(*found, strict=True))
    cut = len(found) // LEFT_OUT_PICTURES
    low, high = float(lows[cut]), float(highs[-1 - cut])
    return Levels(low=low, high=high if high > low else low + max(1.0, abs(low)))


def in_8_bits(image: Image.Image, levels: Levels | None) -> np.ndarray:
    """The grey values of a deep picture as uint8 (height, width). A transparent value becomes white.

    Without `levels`, 16 bits are taken as 0 to 65,535; ValueError for any other picture, whose range is unknown.
    """
    values = np.asarray(image, np.float64)
    if levels is None and image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; no training image has such, so the range is unknown")
    if levels is None and (values.min() < 0 or values.max() > WITHOUT.high):
        raise ValueError("its grey values have 32 bits; no training image has such, so the range is unknown")
    low, high = (levels or WITHOUT).low, (levels or WITHOUT).high
    grey = np.clip(np.nan_to_num(values, nan=low), low, high)
    grey = np.rint((grey - low) * 255 / (high - low)).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return grey


def to_rgb(image: Image.Image, levels: Levels | None = None) -> Image.Image:
    """A picture of any colour mode in RGB, as an image viewer shows it.

    It is turned by its EXIF orientation; a deep one becomes 8 bits by the levels (see `in_8_bits`); transparency
    becomes white; of several frames the first is taken.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if is_deep(image):
        image = Image.fromarray(in_8_bits(image, levels))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def measured(paths: Sequence[Path]) -> Depths:
    """The depths of picture files. All headers are read; of more than MOST deep pictures, so many are decoded."""
    deep: list[int] = []
    upper_bits: list[int] = []

    def look(row: int) -> None:
        with contextlib.suppress(Exception), opened(paths[row]) as image:  # a broken file is reported by who decodes it
            if is_deep(image):
                deep.append(row)
            elif upper_bits_only(image):
                upper_bits.append(row)

    in_threads(look, len(paths))
    chosen = [sorted(deep)[i] for i in np.linspace(0, len(deep) - 1, min(len(deep), MOST)).astype(int)]
    found: list[tuple[float, float] | None] = [None] * len(chosen)

    def read(i: int) -> None:
        with contextlib.suppress(Exception), opened(paths[chosen[i]]) as image:
            found[i] = ends(image)

    in_threads(read, len(chosen))
    return Depths(
        deep=len(deep), upper_bits=len(upper_bits), levels=of_pictures([pair for pair in found if pair is not None])
    )
