"""Resizes images, in threads: everything in edgebench resizes them here."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from edgebench.records.preprocessing import Preprocessing

if TYPE_CHECKING:
    from PIL import Image


AT_ONCE = 256  # items handed to the threads together: Ctrl-C waits for at most so many


def in_threads(do: Callable[[int], None], count: int, on_progress: Callable[[int], None] = lambda done: None) -> None:
    """Call `do` with each number from 0 to count − 1, in one thread per core that this process may use.

    Threads help because Pillow decodes and resizes outside Python's lock. The first exception ends the work and is
    raised.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(min(cores, max(count, 1)), thread_name_prefix="edgebench-pixels") as pool:
        for start in range(0, count, AT_ONCE):
            stop = min(start + AT_ONCE, count)
            list(pool.map(do, range(start, stop)))  # waits, and raises what a thread raised
            on_progress(stop)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 (n, h, w, 3) → uint8 (n, size, size, 3), bilinear with antialiasing, as `Preprocessing` says.

    The whole image is kept: one that is not square is squeezed.
    """
    if images.shape[1:3] == (size, size):
        return images
    from PIL import Image

    small = np.empty((len(images), size, size, 3), np.uint8)

    def place(row: int) -> None:
        small[row] = resized(Image.fromarray(images[row]), size)

    in_threads(place, len(images))
    return small


def resized(image: Image.Image, size: int) -> np.ndarray:
    """An RGB picture as uint8 (size, size, 3), resized bilinearly with antialiasing."""
    from PIL import Image

    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


def fitted(image: Image.Image, spec: Preprocessing) -> np.ndarray:
    """An RGB picture as uint8 (height, width, 3), as `spec` gives it the model's size.

    A crop is that of torchvision and timm (Resize of the shorter side, CenterCrop), to the pixel.
    """
    from PIL import Image

    filter, (width, height) = getattr(Image.Resampling, spec.interpolation.upper()), image.size
    if spec.resize == "stretch":
        return np.asarray(image.resize((spec.width, spec.height), filter))
    if spec.resize == "crop":
        least_w, least_h = int(spec.width / spec.crop), int(spec.height / spec.crop)
        if least_w * height >= least_h * width:  # its width decides
            size = (least_w, max(least_h, least_w * height // width))
        else:
            size = (max(least_w, least_h * width // height), least_h)
        left, top = round((size[0] - spec.width) / 2), round((size[1] - spec.height) / 2)
        return np.asarray(image.resize(size, filter).crop((left, top, left + spec.width, top + spec.height)))
    share = min(spec.width / width, spec.height / height)
    size = (max(1, min(spec.width, round(width * share))), max(1, min(spec.height, round(height * share))))
    ground = Image.new("RGB", (spec.width, spec.height), (spec.pad,) * 3)
    centre = ((spec.width - size[0]) // 2, (spec.height - size[1]) // 2)
    ground.paste(image.resize(size, filter), centre if spec.align == "centre" else (0, 0))
    return np.asarray(ground)
