"""Looks at picture files: what each is, and what tells whether two are alike. Also the program of processes that do so.

A library that decodes pictures can end the process on a damaged file, so `scanning` starts processes for this.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from edgebench.errors import BadFile
from edgebench.training.data.decoding import opened
from edgebench.training.data.levels import is_deep, to_rgb

if TYPE_CHECKING:
    from PIL import Image

THUMB = 16  # pixels of the side of the small picture by which two are compared
SMALL = 32  # pixels of the side from which the perceptual hashes are made
LEAST_DRAFT = 128  # pixels of the shorter side that a JPEG keeps at least when it is decoded small
BITS = {"1": 1, "F": 32, "I": 32}  # of a grey value or channel, by Pillow's mode; I;16 and its like have 16, others 8
TAIL = 1000  # one pixel in so many may lie below the range of a deep picture, and one above it
SAMPLED = 1 << 16  # values of a deep picture that its range is computed from, at least
MOST_REASON = 1000  # bytes
EXACT, NEAR = 1, 2  # what a process is asked for, as bits
READY = b"\n"  # what a process says before it answers

# One row for each file. `mode` is Pillow's; width and height are as a viewer shows them, in pixels. `low` and `high`
# are the range of values of a deep picture, without its outliers. `pixels` is a hash of all decoded pixels: equal for
# pictures that look the same to a network, however they are encoded. `exact` is False where a large JPEG was decoded
# small for it. `hashes` are two perceptual hashes, 0 where nobody asked for near copies.
FACTS = np.dtype(
    [
        ("broken", "?"), ("exact", "?"), ("bits", "u1"), ("mode", "S9"), ("width", "<u4"), ("height", "<u4"),
        ("low", "<f8"), ("high", "<f8"), ("pixels", "<u8", 2), ("hashes", "<u8", 2),
    ]
)  # fmt: skip
THUMBS = np.dtype(("u1", (THUMB, THUMB, 3)))  # beside the facts: each picture in so many pixels, RGB


def look(
    paths: Sequence[Path], *, exact: bool = False, near: bool = True
) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """The FACTS and THUMBS of picture files, and by row the reasons of those that cannot be decoded.

    `exact`: decode large JPEGs in full too. Without `near` there are no hashes and thumbnails: they take half the time.
    """
    found, thumbs, broken = np.zeros(len(paths), FACTS), np.zeros(len(paths), THUMBS), {}
    bits = np.zeros((len(paths), 2, 8, 8), bool)  # packed all at once: numpy takes its time for each call
    for row, path in enumerate(paths):
        try:
            with opened(path) as image:
                rgb = _fill(found[row], image, exact)
                if near:
                    _compare_by(thumbs[row], bits[row], rgb)
        except BadFile as error:
            found[row], thumbs[row] = np.zeros((), FACTS), 0
            found[row]["broken"], broken[row] = True, error.message
    found["hashes"] = np.packbits(bits.reshape(-1, 2, 64), axis=2).view("<u8")[..., 0]
    return found, thumbs, broken


def _fill(found: np.void, image: Image.Image, exact: bool) -> Image.Image:
    """Put the facts of an opened picture into `found`. Returns it in RGB."""
    mode, full = image.mode, image.size
    if image.format == "JPEG" and not exact:
        image.draft(None, (LEAST_DRAFT, LEAST_DRAFT))
    found["exact"] = image.size == full
    if is_deep(image):
        values = np.asarray(image).astype("<f8")
        found["low"], found["high"] = low, high = _tails(values)
        content, kind = values.tobytes(), "deep"
        image = _grey(values, low, high)
    else:
        image = to_rgb(image)
        content, kind = image.tobytes(), "RGB"
    turned = (image.width > image.height) != (full[0] > full[1])
    found["width"], found["height"] = full[::-1] if turned else full
    found["mode"], found["bits"] = mode.encode(), BITS.get(mode, 16 if mode.startswith("I;16") else 8)
    digest = hashlib.blake2b(f"{kind} {image.size} ".encode() + content, digest_size=16).digest()
    found["pixels"] = np.frombuffer(digest, "<u8")
    return image


def _compare_by(thumb: np.ndarray, bits: np.ndarray, image: Image.Image) -> None:
    """Put in what near copies are found by: the thumbnail, and the bits of two perceptual hashes."""
    import imagehash
    from PIL import Image

    small = image.resize((SMALL, SMALL), Image.Resampling.HAMMING, reducing_gap=2.0)
    thumb[:] = np.asarray(small.resize((THUMB, THUMB), Image.Resampling.BOX))
    grey = small.convert("L")
    bits[0], bits[1] = imagehash.dhash(grey).hash, imagehash.dhash_vertical(grey).hash


def _tails(values: np.ndarray) -> tuple[float, float]:
    """The values below and above which one pixel in a thousand lies, from some of them; 0, 0 if none is a number."""
    some = values.ravel()[:: max(1, values.size // SAMPLED)]
    some = np.sort(some[np.isfinite(some)])
    if not len(some):
        return 0.0, 0.0
    beyond = len(some) // TAIL
    return float(some[beyond]), float(some[-1 - beyond])


def _grey(values: np.ndarray, low: float, high: float) -> Image.Image:
    """Values of any range as 8-bit RGB that keeps what differs within the picture."""
    from PIL import Image

    scaled = (np.nan_to_num(values) - low) / max(high - low, 1e-9)
    return Image.fromarray((255 * np.clip(scaled, 0, 1)).astype(np.uint8)).convert("RGB")


def answer(asked: BinaryIO, told: BinaryIO) -> None:
    """Look at the files that are asked for, until the asker is gone.

    A request is the paths, each ended by a zero byte, after their total length in 4 bytes and a byte: EXACT and NEAR
    (what `look` is asked for), added. The answer is the FACTS of all, the THUMBS of all, and for each broken one the
    reason, after its length in 2 bytes.
    """
    import imagehash  # noqa: F401 (it is loaded before we say that we are ready)

    told.write(READY)
    told.flush()
    while size := asked.read(4):
        (how,) = asked.read(1)
        names = asked.read(int.from_bytes(size, "little")).split(b"\0")[:-1]
        found, thumbs, broken = look(
            [Path(os.fsdecode(name)) for name in names], exact=bool(how & EXACT), near=bool(how & NEAR)
        )
        told.write(found.tobytes() + thumbs.tobytes())
        for row in sorted(broken):
            text = broken[row].encode()[:MOST_REASON]
            told.write(len(text).to_bytes(2, "little") + text)
        told.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches us too; the asker ends us
    answer(sys.stdin.buffer, sys.stdout.buffer)
