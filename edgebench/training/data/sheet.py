"""A sheet of pictures: a few of each class, as a network sees them. Needs Pillow alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.errors import UsageError
from edgebench.records.account import Account
from edgebench.training.data.splitting import Few

if TYPE_CHECKING:
    from PIL import Image, ImageFont

EACH = 6  # pictures of a class
MOST_CLASSES = 24
LEAST_SIDE = 64  # pixels of a picture on the sheet: smaller ones are enlarged by whole numbers, so that pixels show
GAP, MARGIN, TEXT_WIDTH, TEXT_SIZE = 6, 12, 220, 15


def check(path: Path) -> None:
    """Raise UsageError for a file that a sheet cannot be written to."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"--sheet {path} does not end in .png", "name a PNG file, such as sheet.png")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--sheet: there is no folder {path.absolute().parent}", "make it, or choose another file")


def draw(few: Few, account: Account, path: Path) -> None:
    """Write the sheet of these pictures, a row for each class with its name and the sizes of its splits."""
    from PIL import Image, ImageDraw, ImageFont

    shown = account.classes[:MOST_CLASSES]
    scale = -(-LEAST_SIDE // few.size)
    side = few.size * scale
    more = len(account.classes) - len(shown)
    first = MARGIN + 2 * TEXT_SIZE
    height = first + MARGIN + len(shown) * (side + GAP) + (TEXT_SIZE * 2 if more else 0)
    sheet = Image.new("RGB", (2 * MARGIN + TEXT_WIDTH + EACH * (side + GAP), height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT_SIZE)
    title = f"{few.size} by {few.size} pixels, as a network sees them; counts: {' + '.join(account.balance)}"
    pen.text((MARGIN, MARGIN), title, fill="gray", font=font)
    for row, name in enumerate(shown):
        top = first + row * (side + GAP)
        counts = " + ".join(f"{some[row]:,}" for some in account.balance.values())
        drawable = name if name.isascii() else f"class {row}"  # Pillow's own font knows few letters
        for line, (text, colour) in enumerate(((drawable, "black"), (counts, "gray"))):
            pen.text((MARGIN, top + 4 + line * (TEXT_SIZE + 6)), _fitting(text, font), fill=colour, font=font)
        for column, picture in enumerate(few.pictures[row]):
            tile = Image.fromarray(np.repeat(np.repeat(picture, scale, 0), scale, 1))
            sheet.paste(tile, (MARGIN + TEXT_WIDTH + column * (side + GAP), top))
    if more:
        pen.text((MARGIN, height - MARGIN - TEXT_SIZE), f"and {more} more classes", fill="gray", font=font)
    _save(sheet, path)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, shortened until it fits beside the pictures."""
    if font.getlength(text) <= TEXT_WIDTH - GAP:
        return text
    while font.getlength(f"{text}...") > TEXT_WIDTH - GAP:
        text = text[:-1]
    return f"{text}..."


def _save(sheet: Image.Image, path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        sheet.save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
