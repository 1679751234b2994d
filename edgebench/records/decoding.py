"""JSON values to frozen dataclasses: nothing is guessed or coerced, and what a record declares is checked."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from edgebench.errors import BadFile, NewerFile
from edgebench.records.declared import FARTHEST, LARGEST, Constraint, Within, fault_of_number, fault_of_text

DEEPEST = 50  # lists and objects within each other, where a record takes any JSON
Reader = Callable[[Any], Any]


class _Misfit(Exception):
    """A value that does not fit. `place`: the way to it, from the inside out."""

    def __init__(self, message: str, fix: str = "", newer: bool = False) -> None:
        super().__init__(message)
        self.message, self.fix, self.newer = message, fix, newer
        self.place: list[str] = []


def decode(kind: Any, data: Any, where: str) -> Any:
    """Build `kind` (a dataclass or a type expression of its fields) from JSON values.

    Raises BadFile, with the place, where `data` does not fit: a wrong type; a value outside of what the record
    declares; text that is no UTF-8; or a dataclass whose method `contradiction` objects. Keys in the class
    attribute `FORMER` are passed over: fields that files of an earlier schema have. Raises NewerFile for a dataclass
    with a field `schema` if the number in `data` is above the field's default.
    """
    try:
        return _reader(kind)(data)
    except _Misfit as misfit:
        place = where + "".join(reversed(misfit.place))
        if misfit.newer:
            raise NewerFile(f"{place} {misfit.message}", misfit.fix) from None
        raise BadFile(f"{place}: {misfit.message}", misfit.fix) from None


def check_schema(found: Any, newest: int, where: str) -> None:
    """Raise NewerFile if a file has a later schema than we know. Call it before its other keys are decoded."""
    if type(found) is int and found > newest:
        raise NewerFile(f"{where} {_newer(found, newest)}", "upgrade edgebench")


def _newer(found: int, newest: int) -> str:
    return f"has schema {found}, newer than {newest}"


@cache
def _reader(kind: Any) -> Reader:
    """The function that reads a value of this type."""
    if kind is Any:
        return _any
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _checked(_reader(arguments[0]), arguments[1:])
    if origin in (typing.Union, types.UnionType):
        return _one_of(kind, [option for option in arguments if option is not type(None)], type(None) in arguments)
    if origin is typing.Literal:
        return _literal(arguments)
    if origin is tuple:
        return _tuple(kind, arguments[0])
    if origin is dict:
        return _dict(kind, *arguments)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind)
    return {int: _int, float: _float, str: _str, bool: _bool}[kind]


def _checked(read: Reader, constraints: tuple[Constraint, ...]) -> Reader:
    def checked(data: Any) -> Any:
        value = read(data)
        for constraint in constraints:
            if objection := constraint.objection(value):
                raise _wrong(objection, data)
        return value

    return checked


def _one_of(kind: Any, options: list[Any], or_none: bool) -> Reader:
    readers = [_reader(option) for option in options]

    def one_of(data: Any) -> Any:
        if data is None and or_none:
            return None
        if len(readers) == 1:
            return readers[0](data)
        for read in readers:
            try:
                return read(data)
            except _Misfit:  # another of the options may fit
                continue
        raise _wrong(_named(kind), data)

    return one_of


def _literal(allowed: tuple[Any, ...]) -> Reader:
    def literal(data: Any) -> Any:
        if isinstance(data, str) and data in allowed:
            return data
        raise _wrong(f"one of {', '.join(map(str, allowed))}", data)

    return literal


def _tuple(kind: Any, item: Any) -> Reader:
    read, bounds = _reader(item), _bounds(item)

    def items(data: Any) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise _wrong(_named(kind), data)
        # Raw samples come by the hundred thousand.
        whole = bounds and all(type(one) is int for one in data)
        if whole and (not data or (bounds.least <= min(data) and max(data) <= bounds.most)):
            return tuple(data)
        made, i = [], -1
        try:
            for i, one in enumerate(data):  # noqa: B007 (the place of the error)
                made.append(read(one))
        except _Misfit as misfit:
            misfit.place.append(f"[{i}]")
            raise
        return tuple(made)

    return items


def _bounds(item: Any) -> Within | None:
    """The bounds of an integer; None for any other type."""
    if item is int:
        return Within(-LARGEST)
    arguments = typing.get_args(item)
    plain = typing.get_origin(item) is Annotated and arguments[0] is int and len(arguments) == 2
    return arguments[1] if plain and isinstance(arguments[1], Within) else None


def _dict(kind: Any, key_kind: Any, item: Any) -> Reader:
    read, read_key = _reader(item), _reader(key_kind)

    def entries(data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise _wrong(_named(kind), data)
        made = {}
        for key, value in data.items():
            read_key(key)
            try:
                made[key] = read(value)
            except _Misfit as misfit:
                misfit.place.append(f".{key}")
                raise
        return made

    return entries


def _dataclass(kind: Any) -> Reader:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = kept(kind)
    needed = [
        name for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    passed_over = frozenset(getattr(kind, "FORMER", ()))
    readers: dict[str, Reader] = {}
    newest = fields["schema"].default if "schema" in fields else None
    contradiction = getattr(kind, "contradiction", None)

    def fill() -> None:  # later than now: a dataclass may hold others of its kind
        for name, field in fields.items():
            read = _reader(hints[name])
            readers[name] = _checked_option(read, field) if "help" in field.metadata else read

    def record(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _wrong(_named(kind), data)
        if not readers:
            fill()
        if newest is not None and type(found := data.get("schema")) is int:
            if found > newest:
                raise _Misfit(_newer(found, newest), "upgrade edgebench", newer=True)
            if found < 1:
                raise _Misfit(f"has the schema {found}, which there never was")
        values = {}
        for name, item in data.items():
            read = readers.get(name)
            if read is None:
                if name in passed_over:
                    continue
                fix = "it may come from a newer edgebench: upgrade this one"
                raise _Misfit(f"unknown key {name[:40]!r}", fix)
            try:
                values[name] = read(item)
            except _Misfit as misfit:
                misfit.place.append(f".{name}")
                raise
        for name in needed:
            if name not in values:
                raise _Misfit(f"key {name!r} is missing")
        made = kind(**values)
        if contradiction and (said := contradiction(made)):
            raise _Misfit(said)
        return made

    return record


def _checked_option(read: Reader, field: dataclasses.Field) -> Reader:
    """With the bounds that an option of a command declares."""
    least, most = field.metadata["least"], field.metadata["most"]
    if field.metadata["above_0"]:
        least = 1e-12
    if least is None and most is None:
        return read
    within = Within(-FARTHEST if least is None else least, FARTHEST if most is None else most)

    def option(data: Any) -> Any:
        value = read(data)
        if value is not None and (objection := within.objection(value)):
            raise _wrong(objection, data)
        return value

    return option


@cache
def kept(kind: type) -> dict[str, dataclasses.Field]:
    """The fields of a dataclass that are written down, by name."""
    return {field.name: field for field in dataclasses.fields(kind) if field.metadata.get("json", True)}


def _int(data: Any) -> int:
    if type(data) is int and -LARGEST <= data <= LARGEST:
        return data
    raise _wrong(fault_of_number(data) if type(data) is int else "int", data)


def _float(data: Any) -> float:
    if type(data) in (float, int) and -FARTHEST <= data <= FARTHEST:  # Python's parser takes NaN and 1e999
        return float(data)
    raise _wrong("float", data)


def _str(data: Any) -> str:
    if not isinstance(data, str):
        raise _wrong("str", data)
    if fault := fault_of_text(data):
        raise _wrong(fault, data)
    return data


def _bool(data: Any) -> bool:
    if isinstance(data, bool):
        return data
    raise _wrong("bool", data)


def _any(data: Any, depth: int = 0) -> Any:
    """Any JSON value, unchanged, whose numbers and texts are as everywhere."""
    if depth > DEEPEST:
        raise _Misfit(f"nested more than {DEEPEST} deep")
    if isinstance(data, dict):
        for key, item in data.items():
            _any(key)
            _any(item, depth + 1)
    elif isinstance(data, list):
        for item in data:
            _any(item, depth + 1)
    elif isinstance(data, str):
        _str(data)
    elif type(data) is int:
        _int(data)
    elif isinstance(data, float) and not (math.isfinite(data) and abs(data) <= FARTHEST):
        raise _wrong("float", data)
    return data


def _named(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _brief(data: Any) -> str:
    text = json.dumps(data, default=str) if not isinstance(data, int) or abs(data) <= LARGEST else "a longer integer"
    return text if len(text) <= 40 else text[:37] + "..."


def _wrong(expected: str, data: Any) -> _Misfit:
    return _Misfit(f"expected {expected}, found {_brief(data)}")
