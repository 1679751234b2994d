"""Unlabelled frames: any image files of a folder, none of which may be an image that judges the network."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile, UsageError
from edgebench.protocols import Pixels
from edgebench.records.levels import Levels
from edgebench.training.data.class_folders import SHOWN, Files, Selected, listed
from edgebench.training.data.sources import Decoding, Images, Splits

HASHED_AT_ONCE = 256  # images


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames that a network may learn from.

    `images`: their pixels at the network's size; `sha256` is of exactly these. `known` frames are left out because they
    are training images too, `copies` because they equal an earlier frame; `skipped` names the files that cannot be
    decoded. `at(size, levels)`: the same frames at another size and by other levels, each from its file.
    """

    images: Pixels
    sha256: str
    known: int
    copies: int
    skipped: tuple[str, ...]
    at: Callable[[int, Levels | None], Pixels]


def read(folder: Path, splits: Splits, size: int, decoding: Decoding, *, dataset: str = "") -> Frames:
    """The images in `folder` and its subfolders as frames of `size` pixels. `dataset`: the folder of the labelled ones.

    Two images are the same if their pixels are once they are decoded and resized: then a copy of a file is found, and
    one that was saved anew without loss. Raises UsageError if a frame is a test or validation image, or if the folder
    is the dataset itself; BadFile if no image in it can be read.
    """
    files = _files(folder)
    if dataset and Path(dataset).is_dir() and os.path.samefile(folder, dataset):
        raise UsageError(
            f"--unlabelled {folder} is the dataset itself, which holds the test images",
            "name a folder of other images, or leave --unlabelled out: the teacher answers to labelled images too",
        )
    images, broken = files.open_all(size, decoding)
    if len(broken) == len(files.files):
        raise BadFile(
            f"none of the {len(broken)} images in {folder} can be read", "repair them, or name another folder"
        )
    rows = np.setdiff1d(np.arange(len(files.files)), broken)
    digests = dict(zip(rows.tolist(), hashes(Selected(images, rows)), strict=True))
    _refuse(folder, files, digests, splits)
    taken, kept, known = set(hashes(splits.train.images)), [], 0
    labelled = frozenset(taken)
    for row, digest in digests.items():
        known += digest in labelled
        if digest not in taken:
            kept.append(row)
            taken.add(digest)
    if not kept:
        raise BadFile(f"every image in {folder} is a training image already", "name a folder of other images")
    chosen = np.array(kept, np.int64)
    return Frames(
        images=Selected(images, chosen),
        sha256=hashlib.sha256(b"".join(digests[row] for row in kept)).hexdigest(),
        known=known,
        copies=len(digests) - known - len(kept),
        skipped=files.printable(broken),
        at=lambda other, levels: Selected(files.open_all(other, replace(decoding, levels=levels))[0], chosen),
    )


def listing_sha256(folder: Path) -> str:
    """sha256 of the names, sizes and times of a folder's images: it changes when they do, and reads none of them."""
    digest = hashlib.sha256()
    for part in _files(folder).content():
        digest.update(part)
    return digest.hexdigest()


def hashes(images: Pixels) -> list[bytes]:
    """A hash of each image's pixels."""
    found = []
    for start in range(0, len(images), HASHED_AT_ONCE):
        some = np.ascontiguousarray(images[start : start + HASHED_AT_ONCE])
        found += [hashlib.blake2b(image, digest_size=16).digest() for image in some]
    return found


def _files(folder: Path) -> Files:
    if not folder.is_dir():
        raise UsageError(
            f"--unlabelled {folder} is {'a file' if folder.exists() else 'no folder'}", "name a folder of images"
        )
    found = listed(Path(os.path.abspath(folder)))
    if not found:
        raise BadFile(f"{folder} holds no images", "name a folder of pictures, such as .jpg, .png or .tiff")
    return Files(Path(os.path.abspath(folder)), found, np.zeros(len(found), np.int64))


def _refuse(folder: Path, files: Files, digests: dict[int, bytes], splits: Splits) -> None:
    """Raise UsageError if a frame is an image on which the network is judged, or its best epoch chosen."""
    for split, why in (
        ("test", "a network that has seen them cannot be judged by them"),
        ("validation", "they choose the best epoch, so the network must not see them"),
    ):
        held_out: Images = getattr(splits, split)
        theirs = set(hashes(held_out.images))
        found = [row for row, digest in digests.items() if digest in theirs]
        if not found:
            continue
        names = ", ".join(files.printable(np.array(found[:SHOWN])))
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        one = len(found) == 1
        raise UsageError(
            f"{len(found)} of the {len(digests)} images in {folder} {'is a' if one else 'are'} {split} "
            f"image{'s' * (not one)} of the dataset {splits.info.dataset} ({names}{more}): {why}",
            "move them out of the folder",
        )
