"""Options as data: a dataclass states for each field its flag, TOML key, help and bounds."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Any

from edgebench.errors import UsageError, positive


def option(
    default: Any, help: str = "", *, flag: str = "", key: str = "", metavar: str = "", env: str = "", names: str = "",
    unset: str = "",
    least: float | None = None, most: float | None = None, above_0: str = "",
    parse: Callable[[str, str], Any] | None = None, later: bool = False,
) -> Any:  # fmt: skip
    """A field of a dataclass that a user can set.

    `flag` is its spelling on the command line, `key` its name in Python and TOML; both follow from the field's name
    where they are left out. `unset`: what None means, in words. `names`: the kind of adapters that it names, for
    completion in a shell. `least` and `most` bound it; `above_0` says what has to be positive ("number of seconds").
    `parse` reads the text after a flag, given the flag and the text. `later`: it came after the first release; where it
    has its default, records and the identities that are made of them are as they were without it. A `default` that is
    a type, such as `dict`, makes a new one each time.
    """
    told = {
        "help": help, "flag": flag, "key": key, "metavar": metavar, "env": env, "names": names, "unset": unset,
        "least": least, "most": most, "above_0": above_0, "parse": parse, "json": "unless default" if later else True,
    }  # fmt: skip
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=told)
    return dataclasses.field(default=default, metadata=told)


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a dataclass, resolved: `kind` is its type, without None."""

    field: str
    key: str
    flag: str
    kind: Any
    default: Any
    help: str
    metavar: str
    env: str
    names: str
    unset: str
    parse: Callable[[str, str], Any] | None


def flag(name: str) -> str:
    """The command line's spelling of a field: batch_size → --batch-size."""
    return "--" + name.replace("_", "-")


def spelled(flag: str, value: Any, off: str = "") -> list[str]:
    """The arguments that give an option this value; `off` is the flag that a False is given by, if there is one."""
    if isinstance(value, bool):
        return [flag] if value else [off] * bool(off)
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    return [f"{flag}={item}" for item in (value if isinstance(value, (list, tuple)) else [value])]


@cache
def options_of(kind: type) -> tuple[Option, ...]:
    """The options of a dataclass in their order. A field that is a dataclass is replaced by the options of that."""
    found: list[Option] = []
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            found += options_of(hint)
        elif "help" in field.metadata:
            told = dict(field.metadata)
            for of_its_own in ("least", "most", "above_0", "json"):
                told.pop(of_its_own, None)
            key = told.pop("key") or field.name
            spelled = told.pop("flag") or flag(key)
            default = field.default if field.default_factory is MISSING else field.default_factory()
            found.append(
                Option(field=field.name, key=key, flag=spelled, kind=without_none(hint), default=default, **told)
            )
    return tuple(found)


def without_none(hint: Any) -> Any:
    """The type X of `X | None`."""
    arguments = typing.get_args(hint)
    return next(each for each in arguments if each is not type(None)) if type(None) in arguments else hint


def keys(kind: type) -> dict[str, Any]:
    """By key, the type of each option of a dataclass and of the dataclasses in it."""
    hints = typing.get_type_hints(kind)
    flat = {field.metadata.get("key") or field.name: hints[field.name] for field in dataclasses.fields(kind)}
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            flat |= keys(hints[field.name])
    return flat


def made(kind: type, given: Mapping[str, Any], base: Any = None) -> Any:
    """A dataclass from the values of its options by key. What is not given is as in `base`, else the default."""
    values: dict[str, Any] = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        key = field.metadata.get("key") or field.name
        inner = hints[field.name]
        if key in given:
            values[field.name] = given[key]
        elif dataclasses.is_dataclass(inner) and any(key in given for key in keys(inner)):
            values[field.name] = made(inner, given, getattr(base, field.name, None))
    return kind(**values) if base is None else dataclasses.replace(base, **values)


def check(value: Any) -> None:
    """Raise UsageError for an option outside of its bounds."""
    for field in dataclasses.fields(value):
        if "help" not in field.metadata or (found := getattr(value, field.name)) is None:
            continue
        name = field.metadata["flag"] or flag(field.metadata["key"] or field.name)
        least, most, what = (field.metadata[bound] for bound in ("least", "most", "above_0"))
        if what:
            positive(name, found, what)
        if isinstance(found, float) and not math.isfinite(found):
            raise UsageError(f"{name} is {found}", "give a finite number")
        if least is not None and found < least:
            raise UsageError(f"{name} is {found}", f"give at least {least:g}")
        if most is not None and found > most:
            raise UsageError(f"{name} is {found}", f"give at most {most:g}")
