"""What a user should know of the pixels before training: deep pictures, lost grey values, classes of one colour."""

from __future__ import annotations

import numpy as np

from edgebench.training.data.sources import Splits

LOOKED_AT = 512  # training images; the first ones have all classes in proportion
FEW = 16  # grey values of 256: what is left of 12 bits whose upper 8 of 16 were read


def notices(splits: Splits) -> list[str]:
    """A sentence for each: what the levels are, where little is left of deep pictures, and what is constant."""
    depths, told = splits.depths, []
    if depths.levels:
        low, high = depths.levels.low, depths.levels.high
        told.append(f"{depths.deep} images have more than 8 bits: {low:g} becomes black and {high:g} white")
    if depths.upper_bits:
        told.append(f"{depths.upper_bits} images have 16 bits a colour, of which Pillow reads the upper 8")
    images, labels = splits.train.images[:LOOKED_AT], splits.train.labels[:LOOKED_AT]
    if depths.deep or depths.upper_bits:
        left = int(np.median([len(np.unique(image)) for image in images]))
        if left <= FEW:
            told.append(
                f"warning: half of the images have at most {left} of 256 grey values: "
                + ("a few values far from the others stretch the range" if depths.levels else "save them with 8 bits")
            )
    constant = (images == images[:, :1, :1]).all(axis=(1, 2, 3))
    if constant.all():
        told.append("warning: each image is of one colour: nothing but that colour can be learned")
        return told
    for label, name in enumerate(splits.info.classes):
        of_class = constant[labels == label]
        if len(of_class) and of_class.all():
            told.append(f"warning: each of the {len(of_class)} images of class {name!r} looked at is of one colour")
    return told
