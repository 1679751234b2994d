"""How a picture becomes a model's input, as data; and how pixels of the model's size do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from edgebench.records.declared import Side
from edgebench.records.levels import Levels

if TYPE_CHECKING:
    import numpy as np

# How a picture gets the model's size: squeezed; its middle is cut out; or whole, on a ground of one grey.
Resize = Literal["stretch", "crop", "letterbox"]
ChannelOrder = Literal["rgb", "bgr", "grey"]
PixelScale = Literal["0..1", "0..255", "-1..1", "-128..127"]  # what black and white become
Axes = Literal["nchw", "nhwc", "chw", "hwc", "nhw", "hw"]
Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]  # Pillow's, with antialiasing
Align = Literal["centre", "corner"]  # where a letterboxed picture lies: in the middle, or in the upper left corner


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From a picture to the model's input: resize to height × width, RGB, to the scale, minus mean, over std, as axes.

    `crop`: the picture is resized so that its middle, of height × width, is this share of its shorter side. `pad`: the
    grey beside a letterboxed picture. `mean` and `std` are in the units of the scale and in the order of the model's
    channels. `input`: the name of the input that takes pictures, where that is not the first. `levels`: what becomes
    black and white in pictures of more than 8 bits, before all else; None if the training set has none. The type of the
    numbers is the input's.
    """

    height: Side
    width: Side
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Filter = "bilinear"
    levels: Levels | None = field(default=None, metadata={"json": "unless default"})
    resize: Resize = field(default="stretch", metadata={"json": "unless default"})
    crop: float = field(default=1.0, metadata={"json": "unless default"})
    pad: int = field(default=0, metadata={"json": "unless default"})
    align: Align = field(default="centre", metadata={"json": "unless default"})
    order: ChannelOrder = field(default="rgb", metadata={"json": "unless default"})
    scale: PixelScale = field(default="0..1", metadata={"json": "unless default"})
    axes: Axes = field(default="nchw", metadata={"json": "unless default"})
    input: str = field(default="", metadata={"json": "unless default"})

    @property
    def channels(self) -> int:
        return 1 if self.order == "grey" else 3


def preprocess(images: np.ndarray, spec: Preprocessing, dtype: str = "float32") -> np.ndarray:
    """uint8 (n, h, w, 3) of the model's size → its input. Plain numpy, so that every machine gets the same bits."""
    import numpy as np

    if spec.order == "grey":  # as Pillow turns RGB into grey
        weights = np.array([19_595, 38_470, 7_471], np.int64)
        pixels = ((images.astype(np.int64) @ weights + 0x8000) >> 16).astype(np.uint8)[..., None]
    else:
        pixels = images[..., ::-1] if spec.order == "bgr" else images
    if np.dtype(dtype).kind in "iu":
        made = (pixels.astype(np.int16) - 128 * (spec.scale == "-128..127")).astype(dtype)
    else:
        scaled = pixels.astype(np.float32)
        if spec.scale == "0..1":
            scaled = scaled / np.float32(255)
        elif spec.scale == "-1..1":
            scaled = scaled / np.float32(127.5) - np.float32(1)
        made = ((scaled - np.float32(spec.mean)) / np.float32(spec.std)).astype(dtype, copy=False)
    if "c" not in spec.axes:
        made = made[..., 0]
    return np.ascontiguousarray(made.transpose(0, 3, 1, 2) if spec.axes in ("nchw", "chw") else made)
