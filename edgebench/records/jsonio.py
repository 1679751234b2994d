"""Frozen dataclasses to JSON and back: strict when reading, atomic when writing."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from edgebench.errors import BadFile, NewerFile
from edgebench.records import decoding, files, replacing
from edgebench.records.decoding import decode

T = TypeVar("T")


def encode(value: Any) -> Any:
    """A dataclass, or a container of them, as plain JSON values.

    Fields marked `json=False` are left out, and those marked `json="unless default"` where they have it.
    """
    if type(value) is str:
        return value if value.isascii() else value.encode(errors="replace").decode()  # names of files may be no UTF-8
    if value is None or type(value) in (int, bool):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = {name: encode(getattr(value, name)) for name in decoding.kept(type(value))}
        for name, default in _left_out_if_default(type(value)):
            if getattr(value, name) == default:
                del told[name]
        return told
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN; a figure that does not exist is null
    return value


def dumps(value: Any, indent: int | None = None) -> str:
    """Canonical JSON text: sorted keys, no NaN. Equal values give equal text, so it can be hashed."""
    separators = (",", ":") if indent is None else None
    return json.dumps(encode(value), sort_keys=True, indent=indent, separators=separators, allow_nan=False)


@cache
def _left_out_if_default(kind: type) -> tuple[tuple[str, Any], ...]:
    """The fields that are left out where they have their default, each with that."""
    fields = decoding.kept(kind)
    marked = {name: field for name, field in fields.items() if field.metadata.get("json") == "unless default"}
    return tuple(
        (name, field.default if field.default_factory is dataclasses.MISSING else field.default_factory())
        for name, field in marked.items()
    )


def read(kind: type[T], path: Path, trim: Callable[[bytes], bytes] = bytes) -> T:
    """Read one dataclass from a JSON file, whose text `trim` may shorten before it is parsed.

    Raises BadFile if the file cannot be read, is not JSON or does not fit; NewerFile if a newer edgebench wrote it.
    """
    try:
        return decode(kind, json.loads(trim(files.content(path)).decode("utf-8")), str(path))
    except NewerFile:
        raise
    except BadFile as error:
        raise BadFile(error.message, error.fix or "it was damaged or edited: copy it again, or make it again") from None
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist") from None
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{path} is not JSON: {error}", "delete the file, or make it again") from None


def read_if_good(kind: type[T], path: Path) -> T | None:
    """As `read`, but None if the file does not exist or cannot be read. Raises NewerFile too."""
    try:
        return read(kind, path)
    except NewerFile:
        raise
    except BadFile:
        return None


def write(path: Path, value: Any) -> None:
    """Write `value` as JSON so that a reader sees the old file, or the whole new one, and nothing between."""
    write_text(path, dumps(value, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text atomically."""
    with replacing.rewritten(path) as file:
        file.write(text.encode())
