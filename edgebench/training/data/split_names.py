"""Names of folders that stand for a split, in all common spellings: Training, test_set, seg_train, valid, train2017."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

WORDS = {
    "train": "train", "training": "train", "trn": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "development": "validation",
    "test": "test", "testing": "test", "tst": "test",
}  # fmt: skip
UNCLEAR = ("eval", "evaluation", "evaluate", "holdout")  # validation to some people, test to others
FILLERS = {
    "set", "sets", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "pics", "photo",
    "photos", "split", "folder", "sample", "samples", "seg", "part", "subset", "cls", "classification",
}  # fmt: skip
UNUSED = "unused"  # a folder that is named unused_test is no split, and is left out
_GLUED = re.compile(rf"({'|'.join(sorted((*WORDS, *UNCLEAR), key=len, reverse=True))})({'|'.join(sorted(FILLERS))})?")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]|\d+|[^\W\d_a-zA-Z]+")


@dataclass(frozen=True)
class SplitName:
    """What the name of a folder says: its split, and the rest of the name, the same for all splits of one dataset."""

    split: str
    rest: tuple[str, ...]


def split_name(folder: str) -> SplitName | None:
    """What the name of a folder says about a split, or None. An unclear word stands for itself: "eval"."""
    parts = [part.lower() for part in _PARTS.findall(folder)]
    if len(parts) > 1 and parts[0].isdigit() and len(parts[0]) < 3:  # 01_train, 02_test
        del parts[0]
    splits, rest = [], []
    for part in parts:
        glued = _GLUED.fullmatch(part)
        if glued:
            splits.append(WORDS.get(glued[1], glued[1]))
        elif part not in FILLERS:
            rest.append(part)
    return SplitName(splits[0], tuple(rest)) if len(splits) == 1 else None


@dataclass
class Group:
    """Sibling folders whose names differ only in the word of the split: by split, their names."""

    folders: dict[str, list[str]] = field(default_factory=dict)

    def names(self) -> list[str]:
        return [name for names in self.folders.values() for name in names]


def grouped(folders: Iterable[str]) -> dict[tuple[str, ...], Group]:
    """The folders that are named like splits, by the rest of their names. Those named unused_… are none."""
    found: dict[tuple[str, ...], Group] = {}
    for name in folders:
        told = split_name(name)
        if told and UNUSED not in told.rest:
            found.setdefault(told.rest, Group()).folders.setdefault(told.split, []).append(name)
    return found
