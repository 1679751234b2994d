"""The fourteen operations of RandAugment and TrivialAugment, each for all images of a batch that drew it.

They give the results of Pillow's ImageEnhance, ImageOps and Image.transform (the papers' reference), within rounding.
Inside this file, images are (N, H, W, 3), uint8 and contiguous, and `magnitude` is (N,), a value for each image. At
magnitude 0 an operation changes nothing, except autocontrast and equalize, which have no magnitude.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

FILL = 128  # mid-grey, for the gap that a moved image leaves: close to 0 once normalised


def apply(images: torch.Tensor, operations: torch.Tensor, magnitudes: torch.Tensor) -> torch.Tensor:
    """`images` (N, 3, H, W), uint8, each changed by its own operation at its own magnitude.

    `operations`: positions in OPERATIONS, (N,), and `magnitudes` (N,) are on the CPU, so that grouping the images needs
    no answer from a GPU.
    """
    pixels = images.permute(0, 2, 3, 1)
    changed = pixels.clone(memory_format=torch.contiguous_format)
    for position, operation in enumerate(OPERATIONS.values()):
        drew = (operations == position).nonzero()[:, 0]
        if len(drew) and operation is not None:
            chosen = drew.to(images.device)
            magnitude = magnitudes[drew].to(images.device, torch.float64)  # Pillow computes its tables in doubles
            changed.index_copy_(0, chosen, operation(pixels.index_select(0, chosen).contiguous(), magnitude))
    return changed.permute(0, 3, 1, 2)


# Geometry. The matrices (N, 2, 3) map a place in the new image to its place in the old one, in pixels from the corner.


def _shear_x(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Take row y from `magnitude` · y further right."""
    return _warped(pixels, {(0, 1): magnitude})


def _shear_y(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    return _warped(pixels, {(1, 0): magnitude})


def _translate_x(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Move to the right by whole pixels: a fraction would blur."""
    return _warped(pixels, {(0, 2): -magnitude.trunc()})


def _translate_y(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    return _warped(pixels, {(1, 2): -magnitude.trunc()})


def _rotate(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Turn counter-clockwise around the centre by `magnitude` degrees."""
    angle = magnitude.deg2rad()
    cos, sin = angle.cos(), angle.sin()
    x, y = pixels.shape[2] / 2, pixels.shape[1] / 2
    return _warped(
        pixels,
        {
            (0, 0): cos, (0, 1): -sin, (0, 2): x - cos * x + sin * y,
            (1, 0): sin, (1, 1): cos, (1, 2): y - sin * x - cos * y,
        },
    )  # fmt: skip


def _warped(pixels: torch.Tensor, entries: dict[tuple[int, int], torch.Tensor]) -> torch.Tensor:
    """Images resampled (bilinear) by the matrices that differ from the identity in `entries`."""
    count, height, width, _ = pixels.shape
    matrix = torch.eye(2, 3, dtype=torch.float64, device=pixels.device).repeat(count, 1, 1)
    for (row, column), value in entries.items():
        matrix[:, row, column] = value
    # grid_sample's coordinates run from −1 to 1 over the image: pixel = (coordinate + 1) · size / 2.
    size = torch.tensor([width, height], dtype=torch.float64, device=pixels.device)
    scaled = matrix[:, :, :2] * size / size[:, None]
    offset = scaled.sum(2) + 2 * matrix[:, :, 2] / size - 1
    theta = torch.cat([scaled, offset[:, :, None]], dim=2).float()
    grid = F.affine_grid(theta, [count, 3, height, width], align_corners=False)
    centred = pixels.permute(0, 3, 1, 2).float() - FILL  # grid_sample fills with 0
    moved = F.grid_sample(centred, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return (moved + FILL).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


# Colour by tables: the new value of each of the 256 levels.


def _looked_up(pixels: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
    """Each level replaced by its image's entry in `tables` (N, 1 or 3, 256): rounded down, as Pillow does."""
    count = len(pixels)
    tables = tables.clamp(0, 255).to(torch.uint8).expand(count, 3, 256).reshape(-1)
    picked = tables.index_select(0, _positions(pixels).reshape(-1))
    return picked.view(pixels.shape)


def _positions(pixels: torch.Tensor) -> torch.Tensor:
    """The position of each pixel's level in a flat (N, 3, 256) table."""
    first = torch.arange(len(pixels) * 3, dtype=torch.int32, device=pixels.device) * 256
    return pixels.int() + first.view(-1, 1, 1, 3)


def _levels(pixels: torch.Tensor) -> torch.Tensor:
    return torch.arange(256, dtype=torch.float64, device=pixels.device)


def _brightness(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    return _looked_up(pixels, _levels(pixels) * (1 + magnitude)[:, None, None])


def _contrast(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Move levels away from the mean luminance of the image."""
    mean = (_luminance(pixels).double().mean((1, 2, 3)) + 0.5).floor()[:, None, None]
    return _looked_up(pixels, mean + (_levels(pixels) - mean) * (1 + magnitude)[:, None, None])


def _posterize(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Set the lowest `magnitude` of the eight bits to 0."""
    step = 2 ** magnitude.round()[:, None, None]
    return _looked_up(pixels, (_levels(pixels) / step).floor() * step)


def _solarize(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Invert the brightest `magnitude` of 256 levels."""
    levels = _levels(pixels)
    return _looked_up(pixels, torch.where(levels < 256 - magnitude[:, None, None], levels, 255 - levels))


def _autocontrast(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Stretch each channel so that its darkest level becomes 0 and its brightest 255."""
    low, high = (bound.double()[:, :, None] for bound in (pixels.amin((1, 2)), pixels.amax((1, 2))))
    scale = 255 / (high - low)
    levels = _levels(pixels)
    return _looked_up(pixels, torch.where(high > low, levels * scale - low * scale, levels))


def _equalize(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Make the histogram of each channel as even as its levels allow."""
    found = torch.bincount(_positions(pixels).reshape(-1), minlength=len(pixels) * 768).view(-1, 3, 256)
    high = pixels.amax((1, 2)).long()[:, :, None]
    step = (found.sum(2, keepdim=True) - found.gather(2, high)) // 255
    below = found.cumsum(2) - found
    table = (below + step // 2) // step.clamp(min=1)
    return _looked_up(pixels, torch.where(step > 0, table.double(), _levels(pixels)))


# Colour by blending with a poorer image (grey, smoothed). A negative share of it makes the image richer.


def _color(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    return _blended(pixels, _luminance(pixels), magnitude)


def _sharpness(pixels: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Blend with the image smoothed by Pillow's SMOOTH filter, which leaves the outermost pixels unchanged."""
    smooth = pixels.clone()
    wide = pixels.to(torch.int16)
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    box = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    smooth[:, 1:-1, 1:-1] = ((box + 4 * wide[:, 1:-1, 1:-1]).float() / 13).round().to(torch.uint8)
    return _blended(pixels, smooth, magnitude)


def _luminance(pixels: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 1): ITU-R 601 luma in Pillow's fixed-point arithmetic."""
    red, green, blue = pixels.int().split(1, dim=3)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8)


def _blended(pixels: torch.Tensor, poorer: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    factor = (1 + magnitude).float()[:, None, None, None]
    poor = poorer.float()
    return (poor + (pixels.float() - poor) * factor).clamp_(0, 255).to(torch.uint8)  # rounds down, as Pillow does


OPERATIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None] = {
    "identity": None,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "brightness": _brightness,
    "color": _color,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
