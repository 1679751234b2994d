"""Packs the installed edgebench to send it to a board: a wheel, and a digest that distinguishes two versions."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from edgebench.records import digests

PACKAGES = ("edgebench", "edgebench.exporters", "edgebench.runtimes", "edgebench.device_profiles")
CODE = (".py", ".toml")  # what the digest covers; a wheel also contains the other files of the packages
LEFT_OUT = (".pyc", ".md")
WHEEL = "Wheel-Version: 1.0\nGenerator: edgebench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
MOMENT = (2020, 1, 1, 0, 0, 0)  # the date of every file in the wheel, so that equal code gives equal bytes


def files() -> Iterator[tuple[str, Path]]:
    """Every file of the package with its name in a wheel, sorted by name. Works for an editable install too."""
    found = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in Path(folder).rglob("*"):
                if path.is_file() and path.suffix not in LEFT_OUT and "__pycache__" not in path.parts:
                    found[f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"] = path
    yield from sorted(found.items())


@cache
def code_digest() -> str:
    """sha256 over the names and contents of the code; equal on two machines that run the same edgebench."""
    digest = hashlib.sha256()
    for name, path in files():
        if path.suffix in CODE:
            digest.update(f"{name}\0{digests.of_file(path)}\n".encode())
    return digest.hexdigest()


def wheel() -> tuple[str, bytes]:
    """The name and the content of a wheel of what is installed here (binary distribution format, PyPA, 1.0).

    It is put together from the installed files: no build tool, no network, and no source checkout is needed.
    """
    installed = metadata.distribution("edgebench")
    described = {
        "METADATA": installed.read_text("METADATA") or installed.read_text("PKG-INFO") or "",
        "entry_points.txt": installed.read_text("entry_points.txt") or "",
    }
    return pack(f"edgebench-{installed.version}", described, {name: path.read_bytes() for name, path in files()})


def pack(stem: str, described: dict[str, str], contents: dict[str, bytes]) -> tuple[str, bytes]:
    """The name and the content of a pure Python wheel. `stem`: NAME-VERSION; `described`: its METADATA and so on."""
    described = described | {"WHEEL": WHEEL}
    contents = contents | {f"{stem}.dist-info/{name}": text.encode() for name, text in described.items()}
    record = f"{stem}.dist-info/RECORD"
    lines = [f"{name},sha256={_urlsafe(content)},{len(content)}" for name, content in contents.items()]
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, MOMENT), content, zipfile.ZIP_DEFLATED)
    return f"{stem}-py3-none-any.whl", packed.getvalue()


def _urlsafe(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
