"""Tells pictures from other files: by the ending of the name, and by the content where the ending says nothing."""

from __future__ import annotations

import os

from edgebench.records.account import Reason
from edgebench.training.data.formats import DRAWN, FORMATS, PLUGINS, missing_plugin, plugin_of, readable

COMMON = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "JPEG2000")
# A file with one of these endings claims to be a picture: if it cannot be decoded, it is broken.
TRUSTED = frozenset(ending for name in COMMON for ending in FORMATS[name])
RARE = {ending: name for name, endings in FORMATS.items() if name not in COMMON for ending in endings}
PLUGGED = frozenset(ending for plugin in PLUGINS for ending in plugin.endings)
# Raw pictures of cameras: Pillow would take the small preview that is inside of some for the picture.
RAW = frozenset(
    (".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".orf", ".rw2", ".raf", ".pef", ".raw")
)
PROGRAM = RAW | frozenset(DRAWN)
OTHER = frozenset(
    (
        ".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".htm", ".yaml", ".yml", ".toml", ".ini",
        ".cfg", ".log", ".py", ".ipynb", ".m", ".mat", ".npy", ".npz", ".h5", ".hdf5", ".pkl", ".pt", ".pth", ".onnx",
        ".parquet", ".tfrecord", ".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".mp4", ".avi", ".mov", ".mkv", ".wav",
        ".mp3", ".bag", ".mcap", ".db3", ".ply", ".bin", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".sh",
        ".exe", ".lnk", ".url", ".rst",
    )
)  # fmt: skip
# How files of some formats begin. Those of WEAK may begin like this by chance: "BM" and "P1 " are words too.
STRONG = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"qoif",
    b"8BPS\0\1", b"DDS ", b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51",
)  # fmt: skip
WEAK = (b"BM", b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"\0\0\1\0", b"\1\xda", b"icns")
HEAD_BYTES = 32


def kind(folder: str, name: str) -> Reason | None:
    """None for a picture that may be used, else why the file `name` in `folder` is none. Reads few files."""
    ending = os.path.splitext(name)[1].lower()
    if ending in TRUSTED:
        return None
    if ending in OTHER:
        return "not_a_picture"
    if ending in PROGRAM:
        return "needs_program"
    if ending in PLUGGED:
        return "needs_plugin" if missing_plugin(name) else None
    return _by_content(os.path.join(folder, name), RARE.get(ending))


def _by_content(path: str, expected: str | None) -> Reason | None:
    """As `kind`, of a file whose ending is rare, unknown or missing. `expected`: the format of a rare ending."""
    if not os.path.isfile(path):
        return "not_a_picture"
    start = _start(path)
    if _is_picture(start):
        return None
    if wanted := plugin_of(start):
        return "needs_plugin" if wanted.format not in readable() else None
    formats = ("BMP", "PPM", "ICO", "SGI", "ICNS", *((expected,) if expected else ()))
    opens = (start.startswith(WEAK) or expected) and _opens(path, formats)
    return None if opens else "not_a_picture"


def fault(path: str) -> Reason:
    """Why a file that claims to be a picture cannot be decoded."""
    if not os.path.isfile(path):
        return "not_a_file" if os.path.exists(path) else "link_broken"
    start = _start(path)
    if start and (wanted := plugin_of(start)):
        return "needs_plugin" if wanted.format not in readable() else "broken"
    return "broken"


def _start(path: str) -> bytes:
    """How a file begins; nothing if it is empty or cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _is_picture(start: bytes) -> bool:
    """Whether a file that begins so is surely a picture that Pillow reads by itself."""
    webp, avif = start[:4] == b"RIFF" and start[8:12] == b"WEBP", start[4:12] in (b"ftypavif", b"ftypavis")
    return webp or avif or start.startswith(STRONG)


def _opens(path: str, formats: tuple[str, ...]) -> bool:
    """Whether Pillow can read the head of this file as one of these formats."""
    from PIL import Image

    readable()
    try:
        with Image.open(path, formats=formats):
            return True
    except Exception:  # Pillow's readers raise anything on what they do not know
        return False
