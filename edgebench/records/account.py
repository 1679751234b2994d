"""The account of a dataset: what became of each file that was found there, and what the pictures are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from edgebench.records.notices import Notice

SHOWN = 3  # names that an account keeps of the files that were left out for one reason

LayoutKind = Literal["folders", "labels", "arrays"]
Reason = Literal[
    "hidden", "system", "thumbnail", "not_a_picture", "needs_plugin", "needs_program", "link_broken", "not_a_file",
    "folder_link", "no_class", "unused", "unlabelled",
    "broken", "conflict", "copy_of_test", "copy_of_validation", "copy", "near_copy_of_test",
    "near_copy_of_validation", "group_of_test", "group_of_validation", "other_subset",
]  # fmt: skip

# In words, after a count: "12 hidden". In the order in which an account lists them.
WORDS: dict[Reason, str] = {
    "hidden": "hidden",
    "system": "left by a computer, such as .DS_Store or __MACOSX",
    "thumbnail": "thumbnails that a computer keeps beside pictures",
    "not_a_picture": "no picture",
    "needs_plugin": "pictures that need a plug-in of Pillow",
    "needs_program": "pictures that only another program can draw",
    "link_broken": "links to nothing",
    "not_a_file": "no regular file, such as a pipe",
    "folder_link": "links to folders inside a class",
    "no_class": "pictures outside of the class folders",
    "unused": "in folders that are neither a split nor a class",
    "unlabelled": "pictures without a label",
    "broken": "broken",
    "conflict": "the same picture under two labels",
    "copy_of_test": "copies of a test picture",
    "copy_of_validation": "copies of a validation picture",
    "copy": "copies of a picture that is used",
    "near_copy_of_test": "nearly the same as a test picture",
    "near_copy_of_validation": "nearly the same as a validation picture",
    "group_of_test": "in a group with a test picture",
    "group_of_validation": "in a group with a validation picture",
    "other_subset": "outside of the subset",
}
assert set(WORDS) == set(get_args(Reason))


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """How many files were left out for one reason, and the first names of them, by their path in the dataset."""

    reason: Reason
    count: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the files were understood.

    `levels`: of "folders", what the folders of each level stand for, as --layout takes it: "class", "split/class".
    `folders`: by split, the folders of its files, "" for the dataset's own, none if a column says the split; a split
    that is missing is cut from the training images. `labels`: the files that hold the labels, and `columns` what was
    read from them: by meaning (file, label, split), the column's name. `without_split`: how many pictures have no split
    in that column, though others do. `asked`: the user said so; it was not recognised. `alike`: folders that every
    class folder holds, which may be the classes just as well.
    """

    kind: LayoutKind
    levels: str = ""
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)
    without_split: int = 0
    asked: bool = False
    alike: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The least, the median and the greatest of many numbers."""

    least: float
    median: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What the pictures are, as a scan of them found: sides in pixels, and by Pillow's mode and by bits of a channel
    how many there are. `values`: the range of those deeper than 8 bits."""

    widths: Spread
    heights: Spread
    modes: dict[str, int] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)
    values: Spread | None = None


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Pictures that are in one split together, since they are nearly the same or --group-by names them so.

    `groups` of two pictures or more, which have `pictures` in all; the largest has `largest`, one of them `name`.
    """

    groups: int
    pictures: int
    largest: int
    name: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of each file, or of each image of an array: `found` is the sum of those `used` by split (train,
    validation, test) and of those `left_out`.

    `balance`: by split, the pictures of each class, in the order of `classes`.
    `pictures`: None if none was looked at. `groups`: None if there is no group.
    """

    layout: Layout
    classes: tuple[str, ...]
    found: int
    used: dict[str, int]
    left_out: tuple[LeftOut, ...] = ()
    balance: dict[str, tuple[int, ...]] = field(default_factory=dict)
    pictures: Pictures | None = None
    groups: Groups | None = None
    notices: tuple[Notice, ...] = ()

    def adds_up(self) -> bool:
        return self.found == sum(self.used.values()) + sum(each.count for each in self.left_out)

    def count(self, *reasons: Reason) -> int:
        """How many files were left out for these reasons."""
        return sum(each.count for each in self.left_out if each.reason in reasons)


def merged(parts: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """One LeftOut for each reason that has any files, in the order of WORDS."""
    by: dict[Reason, list[LeftOut]] = {}
    for part in parts:
        by.setdefault(part.reason, []).append(part)
    return tuple(
        LeftOut(
            reason=reason,
            count=sum(part.count for part in by[reason]),
            names=tuple(name for part in by[reason] for name in part.names)[:SHOWN],
        )
        for reason in WORDS
        if any(part.count for part in by.get(reason, ()))
    )
