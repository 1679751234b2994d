"""The picture formats that are read: which of Pillow's, the endings of their files, and what needs a plug-in.

Files are opened by this list alone, since some of Pillow's other readers start a program (EPS: Ghostscript), open what
lies inside as any format (IPTC), or read nothing without a handler of the user's (WMF, BUFR, GRIB, HDF5, MPEG).
"""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import BadFile

if TYPE_CHECKING:
    from PIL import Image

# Pillow's names, the common ones first since they are tried in this order. Those without endings are known by content.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "DIB": (".dib",),
    "ICO": (".ico",),
    "CUR": (".cur",),
    "ICNS": (".icns",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "QOI": (".qoi",),
    "PSD": (".psd",),
    "DDS": (".dds",),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "PCX": (".pcx",),
    "DCX": (".dcx",),
    "SUN": (".ras",),
    "FITS": (".fits", ".fit"),
    "BLP": (".blp",),
    "FTEX": (".ftc", ".ftu"),
    "FLI": (".fli", ".flc"),
    "IM": (".im",),
    "MSP": (".msp",),
    "PCD": (".pcd",),
    "PIXAR": (".pxr",),
    "XBM": (".xbm",),
    "XPM": (".xpm",),
    "GBR": (".gbr",),
    "MCIDAS": (),
    "SPIDER": (),
    "XVTHUMB": (),
    "IMT": (),
}


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A package that teaches Pillow a format. `module` is imported, and `register` of it called, unless empty."""

    format: str
    title: str
    endings: tuple[str, ...]
    package: str
    module: str
    register: str = ""


PLUGINS = (
    Plugin(
        format="HEIF", title="HEIC", endings=(".heic", ".heif", ".hif"), package="pillow-heif", module="pillow_heif",
        register="register_heif_opener",
    ),
    Plugin(format="JXL", title="JPEG XL", endings=(".jxl",), package="pillow-jxl-plugin", module="pillow_jxl"),
)  # fmt: skip
# A file with one of these endings is taken for a picture. Without its plug-in, decoding it names the plug-in.
ENDINGS = tuple(
    ending for endings in (*FORMATS.values(), *(plugin.endings for plugin in PLUGINS)) for ending in endings
)
DRAWN = (".eps", ".ps", ".pdf", ".svg", ".wmf", ".emf")  # drawings, which only another program can turn into pixels
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@cache
def readable() -> tuple[str, ...]:
    """The names of the formats that the installed Pillow and plug-ins read: what Image.open's `formats` takes."""
    from PIL import Image

    Image.init()
    for plugin in PLUGINS:
        with contextlib.suppress(ImportError):
            module = importlib.import_module(plugin.module)
            if plugin.register:
                getattr(module, plugin.register)()
    return tuple(name for name in (*FORMATS, *(plugin.format for plugin in PLUGINS)) if name in Image.OPEN)


def opened(path: Path) -> Image.Image:
    """A picture whose header was read. Raises what Pillow does, and BadFile for what is no file."""
    from PIL import Image

    if not path.is_file():  # opening a pipe would block
        raise BadFile("not a file, or a broken link")
    return Image.open(path, formats=readable())


def missing_plugin(name: str) -> Plugin | None:
    """The plug-in that a file of this name needs, if it is not installed."""
    found = next((plugin for plugin in PLUGINS if name.lower().endswith(plugin.endings)), None)
    return None if found is None or found.format in readable() else found


def plugin_of(start: bytes) -> Plugin | None:
    """The plug-in that a file needs which begins with these 12 bytes or more."""
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        return PLUGINS[0]
    if start[:2] == b"\xff\x0a" or start[:12] == b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a":
        return PLUGINS[1]
    return None


def unreadable(path: Path) -> str:
    """Why no reader here takes this file: the plug-in that its content asks for, or no picture at all."""
    with path.open("rb") as file:
        wanted = plugin_of(file.read(12))
    if wanted:
        return f"a {wanted.title} picture, for which Pillow needs a plug-in: pip install {wanted.package}"
    return "not an image that Pillow can read"
