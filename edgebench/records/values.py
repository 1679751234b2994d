"""Single JSON values: nothing is guessed or coerced, and numbers and texts are as declared.py says of all of them."""

from __future__ import annotations

import json
from typing import Any

from edgebench.records.declared import FARTHEST, LARGEST, fault_of_number, fault_of_text

DEEPEST = 50  # lists and objects within each other, where a record takes any JSON


class Misfit(Exception):
    """A value that does not fit. `place`: the way to it, from the inside out."""

    def __init__(self, message: str, fix: str = "", newer: bool = False) -> None:
        super().__init__(message)
        self.message, self.fix, self.newer = message, fix, newer
        self.place: list[str] = []


def integer(data: Any) -> int:
    if type(data) is int and -LARGEST <= data <= LARGEST:
        return data
    raise wrong(fault_of_number(data) if type(data) is int else "int", data)


def number(data: Any) -> float:
    if type(data) in (float, int) and -FARTHEST <= data <= FARTHEST:  # Python's parser takes NaN and 1e999
        return float(data)
    raise wrong("float", data)


def text(data: Any) -> str:
    if not isinstance(data, str):
        raise wrong("str", data)
    if not data.isascii() and (fault := fault_of_text(data)):
        raise wrong(fault, data)
    return data


def truth(data: Any) -> bool:
    if isinstance(data, bool):
        return data
    raise wrong("bool", data)


def anything(data: Any, depth: int = 0) -> Any:
    """Any JSON value, unchanged, whose numbers and texts are as everywhere."""
    if isinstance(data, dict):
        for key in data:
            if type(key) is not str or not key.isascii():
                text(key)
        items: Any = data.values()
    elif isinstance(data, list):
        items = data
    else:
        items = (data,)
    for item in items:
        kind = type(item)
        if kind is str:
            if not item.isascii():
                text(item)
        elif kind is int:
            if not -LARGEST <= item <= LARGEST:
                integer(item)
        elif kind is float:
            if not -FARTHEST <= item <= FARTHEST:  # NaN too
                raise wrong("float", item)
        elif kind is dict or kind is list:
            if depth + 1 >= DEEPEST:
                raise Misfit(f"nested more than {DEEPEST} deep")
            anything(item, depth + 1)
        elif isinstance(item, str):
            text(item)
    return data


def named(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _brief(data: Any) -> str:
    told = json.dumps(data, default=str) if not isinstance(data, int) or abs(data) <= LARGEST else "a longer integer"
    return told if len(told) <= 40 else told[:37] + "..."


def wrong(expected: str, data: Any) -> Misfit:
    return Misfit(f"expected {expected}, found {_brief(data)}")
