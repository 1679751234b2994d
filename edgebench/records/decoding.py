"""JSON values to frozen dataclasses: nothing is guessed or coerced, and what a record declares is checked."""

from __future__ import annotations

import contextlib
import dataclasses
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from edgebench.errors import BadFile, NewerFile
from edgebench.records.declared import FARTHEST, LARGEST, Constraint, Within
from edgebench.records.values import Misfit, anything, integer, named, number, text, truth, wrong

Reader = Callable[[Any], Any]


def decode(kind: Any, data: Any, where: str) -> Any:
    """Build `kind` (a dataclass or a type expression of its fields) from JSON values.

    Raises BadFile, with the place, where `data` does not fit: a wrong type; a value outside of what the record
    declares; text that is no UTF-8; or a dataclass whose method `contradiction` objects. Keys in the class
    attribute `FORMER` are passed over: fields that files of an earlier schema have. Raises NewerFile for a dataclass
    with a field `schema` if the number in `data` is above the field's default.
    """
    try:
        return _reader(kind)(data)
    except Misfit as misfit:
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
        return anything
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
    return {int: integer, float: number, str: text, bool: truth}[kind]


def _checked(read: Reader, constraints: tuple[Constraint, ...]) -> Reader:
    objections = [constraint.objection for constraint in constraints]

    def checked(data: Any) -> Any:
        value = read(data)
        for objection in objections:
            if told := objection(value):
                raise wrong(told, data)
        return value

    return checked


def _one_of(kind: Any, options: list[Any], or_none: bool) -> Reader:
    readers = [_reader(option) for option in options]
    only = readers[0]

    def or_nothing(data: Any) -> Any:
        return None if data is None else only(data)

    if len(readers) == 1:
        return or_nothing if or_none else only

    def one_of(data: Any) -> Any:
        if data is None and or_none:
            return None
        for read in readers:
            try:
                return read(data)
            except Misfit:  # another of the options may fit
                continue
        raise wrong(named(kind), data)

    return one_of


def _literal(allowed: tuple[Any, ...]) -> Reader:
    def literal(data: Any) -> Any:
        if isinstance(data, str) and data in allowed:
            return data
        raise wrong(f"one of {', '.join(map(str, allowed))}", data)

    return literal


def _tuple(kind: Any, item: Any) -> Reader:
    read, bounds = _reader(item), _bounds(item)

    def items(data: Any) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise wrong(named(kind), data)
        # Raw samples come by the hundred thousand.
        whole = bounds and all(type(one) is int for one in data)
        if whole and (not data or (bounds.least <= min(data) and max(data) <= bounds.most)):
            return tuple(data)
        made: list[Any] = []
        try:
            made.extend(map(read, data))
        except Misfit as misfit:
            misfit.place.append(f"[{len(made)}]")
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
            raise wrong(named(kind), data)
        if item is Any and key_kind is str:
            with contextlib.suppress(Misfit):  # found again below, with its place
                return anything(data, -1)
        for key in data:
            read_key(key)
        made = {}
        try:
            for key, value in data.items():
                made[key] = read(value)
        except Misfit as misfit:
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
    required = frozenset(needed)
    former = frozenset(getattr(kind, "FORMER", ()))
    known = former | fields.keys()
    make = _maker(kind)
    readers: dict[str, Reader] = {}
    newest = fields["schema"].default if "schema" in fields else None
    contradiction = getattr(kind, "contradiction", None)

    def fill() -> None:  # later than now: a dataclass may hold others of its kind
        for name, field in fields.items():
            read = _reader(hints[name])
            readers[name] = _checked_option(read, field) if "help" in field.metadata else read

    def record(data: Any) -> Any:
        if not isinstance(data, dict):
            raise wrong(named(kind), data)
        if not readers:
            fill()
        if newest is not None and type(found := data.get("schema")) is int:
            if found > newest:
                raise Misfit(_newer(found, newest), "upgrade edgebench", newer=True)
            if found < 1:
                raise Misfit(f"has the schema {found}, which there never was")
        if not data.keys() <= known:
            name = next(name for name in data if name not in known)
            raise Misfit(f"unknown key {name[:40]!r}", "it may come from a newer edgebench: upgrade this one")
        if former & data.keys():
            data = {name: item for name, item in data.items() if name not in former}
        values = {}
        try:
            for name, item in data.items():
                values[name] = readers[name](item)
        except Misfit as misfit:
            misfit.place.append(f".{name}")
            raise
        if not values.keys() >= required:
            raise Misfit(f"key {next(name for name in needed if name not in values)!r} is missing")
        made = make(values)
        if contradiction and (said := contradiction(made)):
            raise Misfit(said)
        return made

    return record


def _maker(kind: Any) -> Callable[[dict[str, Any]], Any]:
    """A function that makes a dataclass of its values, several times as fast as its constructor, which sets the fields
    of a frozen one singly."""
    if hasattr(kind, "__post_init__") or hasattr(kind, "__slots__"):
        return lambda values: kind(**values)
    fields = dataclasses.fields(kind)
    defaults = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    factories = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
    new, put = object.__new__, object.__setattr__

    def make(values: dict[str, Any]) -> Any:
        told = defaults | values
        for name, factory in factories.items():
            if name not in values:
                told[name] = factory()
        made = new(kind)
        put(made, "__dict__", told)
        return made

    return make


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
            raise wrong(objection, data)
        return value

    return option


@cache
def kept(kind: type) -> dict[str, dataclasses.Field]:
    """The fields of a dataclass that are written down, by name."""
    return {field.name: field for field in dataclasses.fields(kind) if field.metadata.get("json", True)}
