"""A tiny file of each picture format that edgebench reads, of one grey value, also where Pillow cannot write it."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image

SIZE = 16


def content(format: str, grey: int) -> bytes:
    """The bytes of a picture of this grey value, exact for 0 and 255 in every format."""
    made = BY_HAND.get(format)
    return made(grey) if made else _saved(format, grey)


def _saved(format: str, grey: int, **options: object) -> bytes:
    image, file = Image.new("L", (SIZE, SIZE), grey), io.BytesIO()
    mode = {"BLP": "P", "MSP": "1", "XBM": "1", "SPIDER": "F"}.get(format)
    if mode == "1":
        image = image.point(lambda v: 255 * (v >= 128)).convert("1")
    elif mode == "P":
        image = Image.frombytes("P", image.size, bytes(SIZE * SIZE))
        image.putpalette([grey] * 3 + [0, 0, 0])
    elif mode:
        image = image.convert(mode)
    elif format not in ("TIFF", "PPM", "PNG", "GIF"):
        image = image.convert("RGBA" if format in ("ICNS", "QOI", "DDS") else "RGB")
    image.save(file, format, **options)
    return file.getvalue()


def _plane(grey: int, channels: int = 1) -> bytes:
    return bytes([grey]) * (SIZE * SIZE * channels)


def _cur(grey: int) -> bytes:
    icon = bytearray(_saved("ICO", grey, sizes=[(SIZE, SIZE)], bitmap_format="bmp"))
    icon[2] = 2
    return bytes(icon)


def _fits(grey: int, bits: int = 8, data: bytes | None = None) -> bytes:
    facts = {"SIMPLE": "T", "BITPIX": bits, "NAXIS": 2, "NAXIS1": SIZE, "NAXIS2": SIZE}
    cards = "".join(f"{name:8}= {value:>20}".ljust(80) for name, value in facts.items()) + "END".ljust(80)
    return cards.ljust(2880).encode() + (data or _plane(grey)).ljust(2880, b"\0")


def _fli(grey: int) -> bytes:
    palette = struct.pack("<HBB", 1, 0, 0) + bytes([grey] * 3) + bytes(255 * 3)
    chunks = [struct.pack("<IH", 6 + len(data), kind) + data for kind, data in ((4, palette), (16, _plane(0)))]
    frame = struct.pack("<IHH8x", 16 + sum(map(len, chunks)), 0xF1FA, len(chunks)) + b"".join(chunks)
    head = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF12, 1, SIZE, SIZE, 8, 3, 50)
    return head.ljust(128, b"\0") + frame


def _pcd(grey: int) -> bytes:
    width, height = 768, 512
    rows = bytes([grey]) * (2 * width) + bytes([156]) * (width // 2) + bytes([137]) * (width // 2)
    start = b"".ljust(2048, b"\0") + b"PCD_"
    return start.ljust(96 * 2048, b"\0") + rows * (height // 2)


def _pixar(grey: int) -> bytes:
    head = bytearray(b"\200\350\0\0".ljust(1024, b"\0"))
    struct.pack_into("<HH", head, 416, SIZE, SIZE)
    struct.pack_into("<HH", head, 424, 14, 2)
    return bytes(head) + _plane(grey, 3)


def _mcidas(grey: int) -> bytes:
    words = [0] * 64
    words[1], words[8], words[9], words[10], words[13], words[33] = 4, SIZE, SIZE, 1, 1, 256
    return struct.pack(">64i", *words) + _plane(grey)


def _xpm(grey: int) -> bytes:
    rows = ",\n".join(f'"{"a" * SIZE}"' for _ in range(SIZE))
    tone = f"#{grey:02x}{grey:02x}{grey:02x}"
    return f'/* XPM */\nstatic char *x[] = {{\n"{SIZE} {SIZE} 1 1",\n"a c {tone}",\n{rows}\n}};\n'.encode()


BY_HAND: dict[str, Callable[[int], bytes]] = {
    "CUR": _cur,
    "DCX": lambda grey: struct.pack("<III", 0x3ADE68B1, 12, 0) + _saved("PCX", grey),
    "SUN": lambda grey: struct.pack(">8I", 0x59A66A95, SIZE, SIZE, 24, SIZE * SIZE * 3, 1, 0, 0) + _plane(grey, 3),
    "FITS": _fits,
    "FTEX": lambda grey: b"FTEX" + struct.pack("<8i", 0, SIZE, SIZE, 1, 1, 1, 32, SIZE * SIZE * 3) + _plane(grey, 3),
    "FLI": _fli,
    "PSD": lambda grey: b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, SIZE, SIZE, 8, 3) + bytes(14) + _plane(grey, 3),
    "PCD": _pcd,
    "PIXAR": _pixar,
    "XPM": _xpm,
    "GBR": lambda grey: struct.pack(">5I4sI", 29, 2, SIZE, SIZE, 1, b"GIMP", 10) + b"\0" + _plane(grey),
    "MCIDAS": _mcidas,
    "XVTHUMB": lambda grey: b"P7 332\n#END_OF_COMMENTS\n%d %d 255\n" % (SIZE, SIZE) + _plane(grey),
    "IMT": lambda grey: b"width %d\nheight %d\npixel n8\n\x0c" % (SIZE, SIZE) + _plane(grey),
}


def deep(values: np.ndarray, format: str) -> bytes:
    """The bytes of a picture of more than 8 bits: uint16, int32 or float32 (height, width) as PNG, TIFF or PPM."""
    file = io.BytesIO()
    Image.fromarray(values).save(file, format)
    return file.getvalue()
