"""Hypothesis strategies: every value that a record may hold, and JSON that it may not."""

from __future__ import annotations

import dataclasses
import string
import types
import typing
from typing import Annotated, Any

from hypothesis import strategies as st

from edgebench.records import declared
from edgebench.records.decoding import kept

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-declared.LARGEST, declared.LARGEST)
FLOATS = st.floats(-declared.FARTHEST, declared.FARTHEST)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
# What no field takes, or hardly any.
ODD = st.sampled_from(
    [
        None, True, -1, 0, -7, 2**63, -(2**64), 10**400, 1e300, -1e300, 5e-324, 1e308, "", "\ud800", "../x", "/etc/x",
        "a/b", "\x1b]0;x\x07", "\u202e", "x" * 5000, "9999-99-99", "2099-01-01T00:00:00.000000+00:00", [], {}, [[]],
        {"": None}, [1.0], [2.0, 1.0], [0.0, 0.0, 0.0], {"\ud800": 1}, {"cpu": 7}, {"cpu": {"model": []}},
    ]
)  # fmt: skip
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
NAMES = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)


def values(kind: Any, **bound: Any) -> st.SearchStrategy[Any]:
    """Every value that a field's type and what it declares allow: a dataclass, or a type expression of a field."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return JSON
    if origin is Annotated:
        return _declared(arguments[0], arguments[1:])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values, arguments))
    if origin is tuple:
        return st.lists(values(arguments[0]), **({"max_size": 4} | bound)).map(tuple)
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = {name: _option(values(hints[name]), field) for name, field in kept(kind).items()}
        fields |= {"schema": st.integers(1, 1)} if "schema" in fields else {}
        made = st.builds(kind, **fields)
        contradiction = getattr(kind, "contradiction", None)
        return made.filter(lambda value: not contradiction(value)) if contradiction else made
    return {int: INTEGERS, float: FLOATS, str: TEXT, bool: st.booleans(), type(None): st.none()}[kind]


def _declared(kind: Any, constraints: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    first = constraints[0]
    if isinstance(first, declared.Within):
        make = st.integers if kind is int else st.floats
        return make(first.least, first.most)
    if isinstance(first, declared.Sized):
        found = values(kind, min_size=first.least, max_size=min(first.most, first.least + 3))
        return found.map(lambda some: tuple(sorted(some))) if declared.Ascending() in constraints else found
    if isinstance(first, declared.InUtc):
        return st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "+00:00")
    if isinstance(first, declared.Holding):
        return st.just({}) | st.just({"cpu": {"model": "x"}, "nvidia_cards": None})
    patterns = {declared.Sha256: HASHES, declared.MaybeSha256: HASHES | st.just("")}
    return patterns.get(Annotated[kind, first], NAMES)


def _option(strategy: st.SearchStrategy[Any], field: dataclasses.Field) -> st.SearchStrategy[Any]:
    """Within the bounds that an option of a command declares."""
    told = field.metadata
    if not any(told.get(bound) is not None and told.get(bound) != "" for bound in ("least", "most", "above_0")):
        return strategy
    least = 1e-6 if told["above_0"] else told["least"]
    most = told["most"]

    def fits(value: Any) -> bool:
        return value is None or ((least is None or value >= least) and (most is None or value <= most))

    def clamped(value: Any) -> Any:
        if value is None or fits(value):
            return value
        return type(value)(least if least is not None and value < least else most)

    return strategy.map(clamped).filter(fits)


def places(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value inside a JSON value."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(path for key, item in inside for path in places(item, (*at, key)))]


def replaced(data: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON value with another value at this path."""
    if not path:
        return new
    copy = data.copy()
    copy[path[0]] = replaced(data[path[0]], path[1:], new)
    return copy
