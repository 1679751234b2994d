"""What a value of a record may be, beside its type: bounds, lengths and patterns. decoding.py checks them.

A record declares them with `Annotated`, mostly by one of the names below. They bound what comes from a file or a board;
a record that is made here is not checked again.
"""

from __future__ import annotations

import datetime
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

LARGEST = 2**63 - 1  # of integers, which every database and every other language can hold
FARTHEST = 1e30  # of floats from 0: sums and products of some stay finite
LEAST_RATIO, MOST_RATIO = 1e-9, 1e9
FARTHEST_EFFECT = 50.0


@dataclass(frozen=True)
class Within:
    """A number from `least` to `most`."""

    least: float
    most: float = LARGEST

    def objection(self, value: float) -> str:
        """Why a value is not allowed; "" if it is."""
        if self.least <= value <= self.most:
            return ""
        return f"at least {self.least:g}" if value < self.least else f"at most {self.most:g}"


@dataclass(frozen=True)
class Sized:
    """A text or list of `least` to `most` items."""

    least: int
    most: int

    def objection(self, value: Sequence[Any]) -> str:
        if self.least <= len(value) <= self.most:
            return ""
        return f"{self.least} items" if self.least == self.most else f"{self.least} to {self.most} items"


@dataclass(frozen=True)
class Ascending:
    """A list whose items do not fall."""

    def objection(self, value: Sequence[float]) -> str:
        return "" if all(a <= b for a, b in itertools.pairwise(value)) else "numbers in ascending order"


@dataclass(frozen=True)
class Like:
    """A text that a regular expression describes, in words `what`."""

    pattern: str
    what: str

    def objection(self, value: str) -> str:
        return "" if re.fullmatch(self.pattern, value) else self.what


@dataclass(frozen=True)
class InUtc:
    """A moment as `workspace.now` writes it, so that text order is time order."""

    def objection(self, value: str) -> str:
        try:
            good = datetime.datetime.fromisoformat(value).utcoffset() == datetime.timedelta(0) and len(value) < 40
        except ValueError:
            good = False
        return "" if good and value.isascii() else "a time in UTC"


@dataclass(frozen=True)
class Plain:
    """The name of a file in its folder: it leads to no other."""

    def objection(self, value: str) -> str:
        return "" if is_plain(value) else "the name of a file, without a folder"


@dataclass(frozen=True)
class Holding:
    """An object in which these keys, where they are, hold such a type or null; `a.b` is a key in the object `a`."""

    kinds: tuple[tuple[str, type], ...]

    def objection(self, value: dict[str, Any]) -> str:
        for *folders, key, kind in _ways(self.kinds):
            found: Any = value
            for folder in folders:
                found = found.get(folder) if isinstance(found, dict) else None
            if isinstance(found, dict) and (held := found.get(key)) is not None and type(held) is not kind:
                return f"{kind.__name__} as {'.'.join((*folders, key))}"
        return ""


@cache  # thousands of results have such objects
def _ways(kinds: tuple[tuple[str, type], ...]) -> tuple[tuple[Any, ...], ...]:
    """The keys on the way to each place, and its type."""
    return tuple((*path.split("."), kind) for path, kind in kinds)


Constraint = Within | Sized | Ascending | Like | InUtc | Plain | Holding

Count = Annotated[int, Within(0)]
Positive = Annotated[int, Within(1)]
Nanoseconds = Annotated[int, Within(1)]  # of something that took time
Amount = Annotated[float, Within(0, FARTHEST)]
AboveZero = Annotated[float, Within(1e-12, FARTHEST)]
Share = Annotated[float, Within(0, 1)]
Signed = Annotated[float, Within(-1, 1)]  # the difference of two shares, or a cosine
Ratio = Annotated[float, Within(LEAST_RATIO, MOST_RATIO)]  # of two times
Side = Annotated[int, Within(1, 65_535)]  # of a picture, in pixels
Effect = Annotated[float, Within(-FARTHEST_EFFECT, FARTHEST_EFFECT)]  # the logarithm of a ratio
Times = Annotated[tuple[AboveZero, ...], Sized(2, 2), Ascending()]  # an interval
Ratios = Annotated[tuple[Ratio, ...], Sized(2, 2), Ascending()]
Shares = Annotated[tuple[Share, ...], Sized(2, 2), Ascending()]  # an interval of a share
Sha256 = Annotated[str, Like("[0-9a-f]{64}", "a sha256 in hexadecimal")]
MaybeSha256 = Annotated[str, Like("(?:[0-9a-f]{64})?", "a sha256 in hexadecimal, or nothing")]
AdapterName = Annotated[str, Like("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, '.', '_' and '-'")]
FileName = Annotated[str, Plain()]
Moment = Annotated[str, InUtc()]
Files = dict[FileName, MaybeSha256]  # empty where nothing was written yet


def as_ratio(value: float) -> float:
    """A ratio of times that was computed here, or the farthest that a record holds."""
    return min(max(value, LEAST_RATIO), MOST_RATIO)


def is_plain(name: str) -> bool:
    """Whether a name means a file in the folder that it is looked for in, on any system."""
    odd = name in ("", ".", "..") or len(name.encode(errors="replace")) > 255
    return not odd and not any(c in "/\\\0" for c in name) and not _surrogate(name)


def fault_of_text(text: str) -> str:
    """What is wrong with a text wherever it stands; "" if nothing is."""
    return "" if text.isascii() or not _surrogate(text) else "text that can be written as UTF-8"


def fault_of_number(number: float) -> str:
    """The same for a number of any field."""
    if isinstance(number, int):
        return "" if -LARGEST <= number <= LARGEST else "an integer of 64 bits"
    return "" if math.isfinite(number) and abs(number) <= FARTHEST else "a finite number"


def _surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
