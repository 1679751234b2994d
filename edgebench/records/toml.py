"""Reads TOML files that a person wrote. An error says where the mistake is, and shows an example."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile
from edgebench.records import files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


MOST_BYTES = 2**24


def loads(text: str) -> dict[str, Any]:
    """The values of a TOML text. Raises ValueError, or RecursionError if it is nested too deep."""
    return tomllib.loads(text)


def read(path: Path, *, example: str, what: str = "") -> dict[str, Any]:
    """The values of a TOML file. Raises BadFile, which calls it `what` and its path, and shows the example."""
    name = f"{what} {path}".lstrip()
    try:
        return loads(
            files.content(path, MOST_BYTES).decode("utf-8-sig")
        )  # Windows' editors begin a file with a byte-order mark
    except OSError as error:
        raise BadFile(f"{name} cannot be read: {error.strerror}", "check the path") from None
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError too
        raise BadFile(f"{name} is not TOML: {error}", example) from None
