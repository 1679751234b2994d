"""Which class of a model is which folder: by its name, by a file with names, by number, or in their order."""

from __future__ import annotations

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile, UsageError
from edgebench.training.data.listing import printable

ORDER = "order"
SYNSET = re.compile(r"n\d{8}")
MOST_BYTES = 64 << 20
FORMS = 'a name a line, a JSON list, or an object such as {"0": "tench"}, {"tench": 0} or {"0": ["n01440764", "tench"]}'
SHOWN = 5


@dataclass(frozen=True)
class Named:
    """What a class of the model is called: in full, and its synset, empty if there is none."""

    name: str
    synset: str = ""

    def exact(self) -> set[str]:
        return {plain(self.name), plain(self.synset)} - {""}

    def loose(self) -> set[str]:
        """Each of ImageNet's synonyms: "tench, Tinca tinca"."""
        return {plain(part) for part in self.name.split(",")} - {""}


def plain(name: str) -> str:
    """A name without what people write in different ways: case, spaces, underscores and hyphens."""
    return re.sub(r"[\s_\-]+", "", name).casefold()


def of_lines(names: Sequence[str]) -> dict[int, Named]:
    """Classes by number, from their names in order; "n01440764 tench, Tinca tinca" has a synset before it."""
    return {i: _named(name) for i, name in enumerate(names)}


def _named(text: str) -> Named:
    head, _, rest = text.strip().partition(" ")
    return Named(rest.strip(), head) if SYNSET.fullmatch(head) and rest.strip() else Named(text.strip())


def read(path: Path) -> dict[int, Named]:
    """The names in a file, by the number of the class. Raises BadFile for one of another form."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadFile(f"{path} is too large for a file of names", f"it should have {FORMS}")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist", "name a file with the classes, or: --class-names order") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} cannot be read: {error}", f"it should have {FORMS}") from None
    if text.lstrip()[:1] in ("[", "{"):
        try:
            found = _of_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise BadFile(f"{path} has no names of classes: {error}", f"it should have {FORMS}") from None
    else:
        found = of_lines(text.rstrip().splitlines())
    if not any(named.name for named in found.values()):
        raise BadFile(f"{path} holds no names", f"it should have {FORMS}")
    return found


def _of_json(data: Any) -> dict[int, Named]:
    if isinstance(data, list) and all(isinstance(name, str) for name in data):
        return of_lines(data)
    found: dict[int, Named] = {}
    if not isinstance(data, dict):
        raise ValueError("it is neither a list of names nor an object")
    for key, value in data.items():
        if isinstance(value, int) and not isinstance(value, bool):  # name → number
            number, named = value, _named(key)
        elif isinstance(value, str) and key.isascii() and key.isdigit():
            number, named = int(key), _named(value)
        elif isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value) and key.isdigit():
            number, named = int(key), Named(value[1], value[0])
        else:
            raise ValueError(f"{printable(str(key))[:40]!r}: {printable(str(value))[:40]!r} is neither")
        if number < 0 or number in found:
            raise ValueError(f"the number {number} is there twice, or below 0")
        found[number] = named
    return found


def meaning(folders: Sequence[str], named: Mapping[int, Named], count: int) -> tuple[int, ...]:
    """By the number of a class of the model, that of the folder, −1 for none.

    Several classes of the same name are all this folder. Raises UsageError for a folder that is no class, that may be
    several of different names, or that is the same class as another folder.
    """
    if named and max(named) >= count:
        raise UsageError(
            f"there are names for {max(named) + 1} classes, the model has {count}",
            "give the names of this model's classes, in its order",
        )
    tables = [_table(named, Named.exact), _table(named, Named.loose)]
    tables.append({str(i): [i] for i in range(count)})
    made, lost = [-1] * count, []
    for label, folder in enumerate(folders):
        keys = [plain(folder), plain(folder), str(int(folder)) if folder.isascii() and folder.isdigit() else ""]
        found = next((each for table, key in zip(tables, keys, strict=True) if (each := table.get(key))), [])
        if not found:
            lost.append(folder)
        elif len({named[i] for i in found if i in named}) > 1:
            told = ", ".join(f"{i} ({named[i].synset or named[i].name})" for i in found[:SHOWN])
            raise UsageError(
                f"the folder {printable(folder)!r} may be several classes of the model: {told}",
                "name the folder by the number or the synset, or give a file with --class-names",
            )
        for i in found:
            if made[i] >= 0:
                raise UsageError(
                    f"the folders {printable(folders[made[i]])!r} and {printable(folder)!r} are the same class of the "
                    f"model: {_told(named, i)}",
                    "put their pictures into one folder",
                )
            made[i] = label
    if lost:
        raise UsageError(_lost(lost, folders, named, count), _fix(folders, count))
    return tuple(made)


def in_order(folders: Sequence[str], count: int) -> tuple[int, ...]:
    """The model's classes are the folders', sorted by name."""
    if len(folders) != count:
        raise UsageError(
            f"--class-names order: the model has {count} classes, there are {len(folders)} folders",
            "give the names of its classes in a file",
        )
    return tuple(range(count))


def _table(named: Mapping[int, Named], names: Any) -> dict[str, list[int]]:
    table: dict[str, list[int]] = defaultdict(list)
    for i, each in named.items():
        for name in names(each):
            table[name].append(i)
    return table


def _told(named: Mapping[int, Named], i: int) -> str:
    return f"{i} ({printable(named[i].name)})" if i in named else str(i)


def _lost(lost: Sequence[str], folders: Sequence[str], named: Mapping[int, Named], count: int) -> str:
    if not named:
        return (
            f"what the {count} classes of the model are is not known, so {len(lost)} of {len(folders)} folders are "
            f"none of them: {_listed(lost, {})}"
        )
    known = {name: printable(each.name) for each in named.values() for name in each.loose()}
    near = {folder: difflib.get_close_matches(plain(folder), known, n=2, cutoff=0.6) for folder in lost[:SHOWN]}
    return f"{len(lost)} of {len(folders)} folders are no class of the model: " + _listed(
        lost, {folder: [known[name] for name in names] for folder, names in near.items()}
    )


def _listed(lost: Sequence[str], near: Mapping[str, Sequence[str]]) -> str:
    told = []
    for folder in lost[:SHOWN]:
        hint = " or ".join(map(repr, dict.fromkeys(near.get(folder, ()))))
        told.append(f"{printable(folder)!r}{f' (near: {hint})' if hint else ''}")
    return ", ".join(told) + (f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else "")


def _fix(folders: Sequence[str], count: int) -> str:
    same = " or, if its classes are the folders in the order of their names, --class-names order"
    return f"--class-names FILE, {FORMS}" + same * (len(folders) == count)
