"""Frozen dataclasses to JSON and back: strict when reading, atomic when writing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import tempfile
import types
import typing
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from edgebench.errors import BadFile, NewerFile

T = TypeVar("T")


def encode(value: Any) -> Any:
    """A dataclass, or a container of them, as plain JSON values.

    Fields marked `json=False` are left out, and those marked `json="unless default"` where they have it.
    """
    if value is None or type(value) in (str, int, bool):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = {name: encode(getattr(value, name)) for name in _fields(type(value))}
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


def decode(kind: Any, data: Any, where: str) -> Any:
    """Build `kind` (a dataclass or a type expression of its fields) from JSON values.

    Raises BadFile, with the place, where `data` does not fit the type: nothing is guessed or coerced. Keys in the class
    attribute `FORMER` are passed over: fields that files of an earlier schema have. Raises NewerFile
    for a dataclass with a field `schema` if the number in `data` is above the field's default.
    """
    if kind is Any:
        return data
    origin, arguments = _parts(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        if len(options) == 1:
            return decode(options[0], data, where)
        for option in options:
            with contextlib.suppress(BadFile):  # another of the options may fit
                return decode(option, data, where)
        raise _wrong(where, kind, data)
    if origin is typing.Literal:
        if data in arguments:
            return data
        raise BadFile(f"{where}: expected one of {', '.join(map(str, arguments))}, found {_brief(data)}")
    if origin is tuple and isinstance(data, list):
        if arguments[0] is int and all(type(item) is int for item in data):
            return tuple(data)  # raw samples come by the hundred thousand
        return tuple(decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin is dict and isinstance(data, dict):
        if arguments[1] is Any:
            return data
        return {key: decode(arguments[1], item, f"{where}.{key}") for key, item in data.items()}
    if dataclasses.is_dataclass(kind) and isinstance(data, dict):
        return _decode_dataclass(kind, data, where)
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        with contextlib.suppress(OverflowError):  # an integer of 400 digits is no float
            if math.isfinite(number := float(data)):  # Python's parser takes NaN and 1e999, JSON has neither
                return number
        raise _wrong(where, kind, data)
    if isinstance(kind, type) and isinstance(data, kind) and (kind is bool) == isinstance(data, bool):
        return data
    raise _wrong(where, kind, data)


def _decode_dataclass(kind: Any, data: dict[str, Any], where: str) -> Any:
    hints, fields, values = _hints(kind), _fields(kind), {}
    if "schema" in fields:
        check_schema(data.get("schema"), fields["schema"].default, where)
    if unknown := sorted(set(data) - set(fields) - set(getattr(kind, "FORMER", ()))):
        raise BadFile(f"{where}: unknown key {unknown[0]!r}", "it may come from a newer edgebench: upgrade this one")
    for name, field in fields.items():
        if name in data:
            values[name] = decode(hints[name], data[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BadFile(f"{where}: key {name!r} is missing")
    return kind(**values)


def check_schema(found: Any, newest: int, where: str) -> None:
    """Raise NewerFile if a file has a later schema than we know. Call it before its other keys are decoded."""
    if type(found) is int and found > newest:
        raise NewerFile(f"{where} has schema {found}, newer than {newest}", "upgrade edgebench")


@cache
def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(kind), typing.get_args(kind)


@cache
def _fields(kind: type) -> dict[str, dataclasses.Field]:
    return {field.name: field for field in dataclasses.fields(kind) if field.metadata.get("json", True)}


@cache
def _left_out_if_default(kind: type) -> tuple[tuple[str, Any], ...]:
    """The fields that are left out where they have their default, each with that."""
    marked = {name: field for name, field in _fields(kind).items() if field.metadata.get("json") == "unless default"}
    return tuple(
        (name, field.default if field.default_factory is dataclasses.MISSING else field.default_factory())
        for name, field in marked.items()
    )


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _brief(data: Any) -> str:
    text = json.dumps(data, default=str)
    return text if len(text) <= 40 else text[:37] + "..."


def _wrong(where: str, kind: Any, data: Any) -> BadFile:
    return BadFile(f"{where}: expected {getattr(kind, '__name__', kind)}, found {_brief(data)}")


def read(kind: type[T], path: Path, trim: Callable[[str], str] = str) -> T:
    """Read one dataclass from a JSON file, whose text `trim` may shorten before it is parsed.

    Raises BadFile if the file cannot be read, is not JSON or does not fit; NewerFile if a newer edgebench wrote it.
    """
    try:
        return decode(kind, json.loads(trim(path.read_text(encoding="utf-8"))), str(path))
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
    """Write text atomically: a hidden file in the same folder, flushed to disk, then renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
