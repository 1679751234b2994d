"""Recognises what the folders of a dataset stand for: classes, splits of classes, or classes of splits.

Names alone do not decide: what lies inside has to fit, and what stays ambiguous is refused, with the rename or the
option that settles it.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from edgebench.errors import BadFile
from edgebench.records.account import Layout
from edgebench.training.data.kinds import TRUSTED
from edgebench.training.data.listing import folders, printable
from edgebench.training.data.split_names import UNCLEAR, UNUSED, grouped, split_name

WORDNET = re.compile(r"n\d{8}")
SPLIT_ORDER = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class FolderLayout:
    """`places`: by the path of a folder inside `root`, its split and its label, a number in `classes`. `unused`: the
    folders beside them whose pictures are left out."""

    root: Path
    classes: tuple[str, ...]
    places: dict[str, tuple[str, int]]
    unused: tuple[str, ...]
    recorded: Layout


@dataclass
class Tree:
    """The folders of a dataset, each read once. A path is that inside `root`; "" is `root` itself."""

    root: Path
    _seen: dict[str, list[str]] = field(default_factory=dict)

    def folders(self, path: str) -> list[str]:
        if path not in self._seen:
            self._seen[path] = folders(self.root / path)
        return self._seen[path]

    def holds_pictures(self, path: str) -> bool:
        """Whether a picture lies right in this folder, by the endings of the names."""
        with os.scandir(self.root / path) as entries:
            return any(os.path.splitext(entry.name)[1].lower() in TRUSTED for entry in entries)

    def without_classes(self, path: str) -> str:
        """What a folder without class folders has, for a message."""
        return f"no class folders, {'only' if self.holds_pictures(path) else 'and no'} pictures"

    def shown(self, path: str) -> str:
        return printable(str(self.root / path))

    def move(self, path: str, name: str) -> str:
        """The command that gives a folder another name."""
        old = self.root / path
        return f"mv {shlex.quote(self.shown(path))} {shlex.quote(printable(str(old.with_name(name))))}"


def join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def layout(root: Path, asked: str | None = None) -> FolderLayout:
    """What the folders in `root` stand for; `asked`: as --layout says. Raises BadFile if they are not a dataset."""
    tree = Tree(Path(os.path.abspath(root)))
    base = "" if asked and asked.startswith("any") else unwrapped(tree)
    levels, alike = (asked, ()) if asked else _recognised(tree, base)
    found = _Places(tree)
    found.expand(base, levels.split("/"))
    classes = found.classes(base)
    label = {name: i for i, name in enumerate(classes)}
    split_folders: dict[str, tuple[str, ...]] = {}
    for split in SPLIT_ORDER:
        if some := {folder for folder, each in found.splits.items() if each == split}:
            split_folders[split] = tuple(sorted(map(printable, some)))
    return FolderLayout(
        root=tree.root,
        classes=classes,
        places={path: (split, label[name]) for path, (split, name) in found.places.items()},
        unused=tuple(found.unused),
        recorded=Layout(
            kind="folders", levels=levels, folders=split_folders or {"train": (base,)}, asked=bool(asked), alike=alike
        ),
    )


class _Places:
    """Collects by the path of a folder its split and class, while the levels of folders are walked through."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.places: dict[str, tuple[str, str]] = {}
        self.unused: list[str] = []
        self.splits: dict[str, str] = {}  # by the path of a folder, the split that it stands for

    def expand(self, path: str, levels: list[str], split: str = "", name: str = "") -> None:
        tree = self._tree
        if not levels:
            self.places[path] = (split or "train", name)
            return
        level, *rest = levels
        if level == "split":
            named = main_group(tree, path)
            for each in tree.folders(path):
                if each not in named.values():
                    self.unused.append(join(path, each))
            for each in SPLIT_ORDER:  # the training images first: they say which classes there are
                if each in named:
                    self.splits[join(path, named[each])] = each
                    self.expand(join(path, named[each]), rest, each, name)
            if not name:
                self._judge_imagenet(path, named)
        elif level == "class":
            inside = self._inner(path) if split else path
            if split and not tree.folders(inside):
                self._flat(path, split)
            for each in tree.folders(inside):
                self.expand(join(inside, each), rest, split, each)
        else:
            for each in tree.folders(path):
                self.expand(join(path, each), rest, split, name)

    def _inner(self, path: str) -> str:
        """The folder of the class folders: seg_train/seg_train for seg_train."""
        known = {name for split, name in self.places.values() if split == "train"}
        while True:
            names = self._tree.folders(path)
            if len(names) != 1 or names[0] in known or not self._tree.folders(join(path, names[0])):
                return path
            if self._tree.holds_pictures(path):
                return path
            path = join(path, names[0])

    def _flat(self, path: str, split: str) -> None:
        tree, known = self._tree, {name for _, name in self.places.values()}
        if split == "test" and known and all(map(WORDNET.fullmatch, known)):  # ImageNet's test images have no labels
            self.unused.append(path)
            del self.splits[path]
            return
        fix = "sort its images into folders named by class, or give the labels with --labels FILE"
        if split != "train":
            fix = f"{fix}, or leave it out: {tree.move(path, f'{UNUSED}_{os.path.basename(path)}')}"
        raise BadFile(f"{tree.shown(path)} has {tree.without_classes(path)}", fix)

    def _judge_imagenet(self, path: str, named: dict[str, str]) -> None:
        """In ILSVRC's own layout, whose classes are WordNet numbers, val/ is the test split."""
        known = {name for split, name in self.places.values() if split == "train"}
        if not known or not all(map(WORDNET.fullmatch, known)) or "test" in self.splits.values():
            return
        for places in (self.places, self.splits):
            for folder, each in list(places.items()):
                if each == "validation":
                    places[folder] = "test"
                elif each[0] == "validation":
                    places[folder] = ("test", each[1])

    def classes(self, base: str) -> tuple[str, ...]:
        """The names of the classes in label order. Raises BadFile if there are not two, or if training lacks one."""
        tree = self._tree
        names = sorted({name for split, name in self.places.values() if split == "train"})
        if len(names) < 2:
            where = next((folder for folder, split in self.splits.items() if split == "train"), base)
            found = f"only the class {printable(names[0])!r}" if names else tree.without_classes(where)
            fix = "sort its images into one folder per class, at least two, or give their labels with --labels FILE"
            raise BadFile(f"{tree.shown(where)} has {found}", fix)
        for name in names:
            if name != name.encode("utf-8", "replace").decode():
                raise BadFile(
                    f"{tree.shown(base)}: the folder name {printable(name)} is not UTF-8", "rename the folder"
                )
        if set(map(str.lower, names)) in ({"images", "labels"}, {"images", "annotations"}):
            raise BadFile(
                f"{tree.shown(base)} looks like a dataset for detection, with {' and '.join(names)} beside each other",
                "edgebench trains networks that tell classes apart: cut out the objects, into folders named by class",
            )
        for path, (_, name) in self.places.items():
            if name not in names:
                close = difflib.get_close_matches(name.lower(), [each.lower() for each in names], n=1, cutoff=0.8)
                fix = "add training images of this class, or leave the folder out"
                if close:
                    meant = next(each for each in names if each.lower() == close[0])
                    fix = f"if it is the class {meant!r}: {tree.move(path, meant)}"
                raise BadFile(f"{tree.shown(path)} is a class that the training images do not have", fix)
        return tuple(names)


def main_group(tree: Tree, path: str) -> dict[str, str]:
    """By split, the name of its folder in `path`. Raises BadFile if there is no training split, or two of one kind."""
    groups = grouped(tree.folders(path))
    with_train = [rest for rest, group in groups.items() if "train" in group.folders]
    if not with_train:
        raise BadFile(
            f"no folder in {tree.shown(path)} is named like a training split",
            "rename one to train, or say --layout class if the folders are classes",
        )
    if len(with_train) > 1:
        names = ", ".join(f"{printable(name)}/" for rest in with_train for name in groups[rest].names())
        raise BadFile(
            f"{tree.shown(path)} has several training splits: {names}",
            "put them together as train/CLASS/ and test/CLASS/, or say --layout class if the folders are classes",
        )
    group = groups.pop(with_train[0])
    for names in group.folders.values():
        if len(names) > 1:
            first, second = map(printable, names[:2])
            moves = (tree.move(join(path, name), f"{UNUSED}_{name}") for name in names[:2])
            raise BadFile(f"{tree.shown(path)} has both {first}/ and {second}/", f"leave one out: {' or '.join(moves)}")
    strays = [name for other in groups.values() for name in other.names()]
    for name in (*strays, *(name for word in UNCLEAR for name in group.folders.get(word, ()))):
        told = split_name(name)
        word = {"validation": "val"}.get(told.split, told.split)
        meant = {"val": "validation", "test": "test"} if told.split in UNCLEAR else {word: told.split}
        new_names = [new for new, split in meant.items() if split not in group.folders]
        fix = " or ".join(tree.move(join(path, name), new) for new in (*new_names, f"{UNUSED}_{name}"))
        raise BadFile(f"{tree.shown(join(path, name))} may be a split or not", fix)
    return {split: names[0] for split, names in group.folders.items()}


def unwrapped(tree: Tree) -> str:
    """The folder that holds the classes or splits: the only one in a folder that holds nothing else of a dataset."""
    path = ""
    while True:
        names = tree.folders(path)
        if len(names) != 1 or tree.holds_pictures(path):
            return path
        inside = tree.folders(join(path, names[0]))
        if not inside or (split_name(names[0]) and not _has_splits(inside)):
            return path
        path = join(path, names[0])


def _has_splits(names: list[str]) -> bool:
    """Whether there are a training split and another beside it among these folders."""
    return any("train" in group.folders and len(group.folders) > 1 for group in grouped(names).values())


def _recognised(tree: Tree, base: str) -> tuple[str, tuple[str, ...]]:
    """The levels of the folders in `base`, and the folders that every class folder holds."""
    names = tree.folders(base)
    inside = {name: tree.folders(join(base, name)) for name in names}
    groups = grouped(names).values()
    trains = [name for group in groups for name in group.folders.get("train", ())]
    held_out = [name for group in groups for word in ("validation", "test") for name in group.folders.get(word, ())]
    others = [name for name in names if name not in (*trains, *held_out)]
    if trains:
        if not any(inside[name] for name in trains):
            if others and not held_out and len(trains) == 1:  # a class: railway trains
                return "class", ()
            if others or held_out:
                _refuse_flat(tree, base, trains[0])
        elif not held_out:
            within = {each for name in trains for each in inside[name]}
            if alike := next((name for name in others if within & set(inside[name])), ""):
                shown = f"{printable(trains[0])}/ and {printable(alike)}/ in {tree.shown(base)}"
                raise BadFile(
                    f"{shown} hold the same folders, so both may be classes, or the one a split",
                    "say --layout class if they are classes, or --layout split/class to leave the other out",
                )
        return "split/class", ()
    if held_out:
        if others and not any(inside[name] for name in held_out):  # classes such as valid and invalid
            return "class", ()
        shown = printable(held_out[0])
        raise BadFile(
            f"{tree.shown(base)} has {shown}/ but no train/",
            "put the training images into train/, or say --layout class if the folders are classes",
        )
    divided = [name for name in names if _has_splits(inside[name])]
    if divided and len(divided) < len(names):
        other = next(name for name in names if name not in divided)
        raise BadFile(
            f"{tree.shown(join(base, divided[0]))} is divided into splits, {tree.shown(join(base, other))} is not",
            "divide both, or say --layout class to take all images in a folder for its class",
        )
    if divided:
        return "class/split", ()
    common = set.intersection(*map(set, inside.values())) if len(names) > 1 else set()
    return "class", tuple(sorted(map(printable, common)))


def _refuse_flat(tree: Tree, base: str, train: str) -> NoReturn:
    raise BadFile(
        f"{tree.shown(join(base, train))} has no class folders, and there are other folders beside it",
        "sort its images into folders named by class, or give the labels with --labels FILE, or say --layout class if "
        "the folders beside it are classes too",
    )
