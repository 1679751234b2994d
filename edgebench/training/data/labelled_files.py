"""A dataset whose labels are in a table: a file that --labels names, or the _classes.csv of Roboflow's exports."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records.account import Layout
from edgebench.training.data import label_tables, layouts, listing
from edgebench.training.data.class_folders import gathered
from edgebench.training.data.decoding import File
from edgebench.training.data.label_tables import SHOWN, Table
from edgebench.training.data.layouts import SPLIT_ORDER, Tree, join
from edgebench.training.data.listing import printable
from edgebench.training.data.sources import Raw
from edgebench.training.data.split_names import UNCLEAR, grouped, split_name

ROBOFLOW = "_classes.csv"


@dataclass(frozen=True, kw_only=True)
class LabelledFolder:
    """The tables of a dataset. `inside`: by table, the folder in `root` that its files lie in; `splits`: by table, the
    split of all its files, "" where its lines or the folders say it."""

    root: Path
    tables: tuple[Table, ...]
    inside: tuple[str, ...]
    splits: tuple[str, ...]
    asked: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels in order: as numbers if all of them are whole numbers."""
        found = set().union(*(table.labels() for table in self.tables))
        return tuple(sorted(found, key=(lambda text: (int(text), text)) if all(map(_is_whole, found)) else None))


def named(root: Path, file: Path) -> LabelledFolder:
    """The dataset in `root` whose labels are in `file`. Raises BadFile if it has not at least two classes."""
    whole, table = Path(os.path.abspath(root)), label_tables.read(file)
    return _checked(LabelledFolder(root=whole, tables=(table,), inside=("",), splits=("",), asked=True))


def roboflow(root: Path) -> LabelledFolder | None:
    """The dataset of a Roboflow export with one column a class: a _classes.csv in each split's folder. Else None."""
    tree = Tree(Path(os.path.abspath(root)))
    base = layouts.unwrapped(tree)

    def made(folders: dict[str, str]) -> LabelledFolder:
        tables = tuple(label_tables.read(tree.root / folder / ROBOFLOW) for folder in folders.values())
        inside, splits = tuple(folders.values()), tuple(folders)
        return _checked(LabelledFolder(root=tree.root, tables=tables, inside=inside, splits=splits, asked=False))

    if (tree.root / base / ROBOFLOW).is_file():
        return made({"": base})
    trains = [name for group in grouped(tree.folders(base)).values() for name in group.folders.get("train", ())]
    if not any((tree.root / base / name / ROBOFLOW).is_file() for name in trains):
        return None
    folders = {split: join(base, name) for split, name in layouts.main_group(tree, base).items()}
    for folder in folders.values():
        if not (tree.root / folder / ROBOFLOW).is_file():
            raise BadFile(
                f"{tree.shown(folder)} has no {ROBOFLOW}, but other splits have one",
                f"add it, or leave the folder out: {tree.move(folder, f'unused_{os.path.basename(folder)}')}",
            )
    return made(folders)


def _checked(found: LabelledFolder) -> LabelledFolder:
    if len(classes := found.classes) < 2:
        only = f"only the label {printable(classes[0])!r}" if classes else "no labels"
        raise BadFile(f"{found.tables[0].shown} has {only}", "list the files of two classes at least")
    return found


def read(found: LabelledFolder) -> Raw:
    """The labelled pictures, by split and class. Raises BadFile for a listed file that is missing or outside."""
    files = listing.walk(found.root, {"": ""})
    pictures = files.pictures.pop("")
    index, labels = _Index(found.root, pictures), {name: i for i, name in enumerate(found.classes)}
    told: dict[str, tuple[str, str]] = {}
    for table, inside, split in zip(found.tables, found.inside, found.splits, strict=True):
        for file, line in zip(index.find_all(table, inside), table.lines, strict=True):
            if file is None or not line.label:  # the account of the folder has the reason
                continue
            said = (split or _split(line.split, table), line.label)
            if told.setdefault(file, said) != said:
                both = " and ".join(printable(" ".join(filter(None, each))) for each in (told[file], said))
                raise BadFile(f"{table.shown} lists {printable(file)} twice, as {both}", "delete one of the lines")
    folders = dict(zip(found.splits, ((name,) for name in found.inside), strict=True)) if found.splits[0] else {}
    if not folders and not any("split" in table.columns for table in found.tables):
        folders = _by_folder(told)
        of_folder = {name: split for split, names in folders.items() for name in names}
        told = {file: (of_folder.get(file.split("/")[0], ""), label) for file, (_, label) in told.items()}
    elif not folders:
        folders = {split: () for split, _ in told.values() if split}
    for file in pictures:
        if said := told.get(file.name):
            files.pictures.setdefault((said[0] or "train", labels[said[1]]), []).append(file)
        else:
            files.leave("unlabelled", file.name)
    splits = [split for split, _ in told.values()]
    layout = Layout(
        kind="labels", labels=tuple(_inside(found.root, table.path) for table in found.tables), folders=folders,
        columns=found.tables[0].columns, asked=found.asked,
        without_split=splits.count("") if any(splits) else 0,
    )  # fmt: skip
    return gathered(found.root, files, len(labels), layout, files.left_out())


class _Index:
    """Finds the pictures that a table lists: by their path, or by a name that only one picture has."""

    def __init__(self, root: Path, pictures: Sequence[File]) -> None:
        self._root = root
        self._paths = {file.name for file in pictures}
        self._names: dict[str, list[str]] = defaultdict(list)
        self._stems: dict[str, list[str]] = defaultdict(list)
        for file in pictures:
            name = file.name.rpartition("/")[2]
            self._names[name].append(file.name)
            self._stems[os.path.splitext(name)[0]].append(file.name)

    def find_all(self, table: Table, inside: str) -> list[str | None]:
        """The path of each line's picture; None for a file that is there and no picture."""
        beside = _inside(self._root, table.path.parent)
        found: list[str | None] = []
        missing: list[str] = []
        for line in table.lines:
            path, there = self._find(line.file, inside, beside, table)
            found.append(path)
            if not there:
                missing.append(line.file)
        if missing:
            names = ", ".join(printable(name) or "a line without a name" for name in missing[:SHOWN])
            raise BadFile(
                f"{len(missing)} of the {len(table.lines)} files that {table.shown} lists are not in "
                f"{printable(str(self._root / inside))}: {names}{' …' if len(missing) > SHOWN else ''}",
                "add them, or delete their lines; paths begin at the dataset's folder",
            )
        return found

    def _find(self, told: str, inside: str, beside: str, table: Table) -> tuple[str | None, bool]:
        path = told.replace("\\", "/")
        if os.path.isabs(path):
            path = os.path.relpath(path, self._root)
        path = os.path.normpath(path) if path else ""
        if path.startswith("../") or path == "..":
            raise BadFile(
                f"{table.shown} lists {printable(told)}, which is not in {printable(str(self._root))}",
                "copy or link the file into the folder, or delete the line",
            )
        tries = [join(inside, path)]
        if not inside:
            tries += [join(beside, path)] if beside and not beside.startswith(("/", "..")) else []
            tries += [path.removeprefix(f"{self._root.name}/")]
        for each in tries:
            if each in self._paths:
                return each, True
        if "/" not in path:
            alike = self._names.get(path) or self._stems.get(path) or []
            alike = [each for each in alike if not inside or each.startswith(f"{inside}/")]
            if len(alike) == 1:
                return alike[0], True
            if alike:
                raise BadFile(
                    f"{table.shown} lists {printable(told)}, but {printable(alike[0])} and "
                    f"{printable(alike[1])} are both named so",
                    "give the path inside the dataset's folder",
                )
        return None, bool(path) and any(os.path.lexists(self._root / each) for each in tries)


def _split(told: str, table: Table) -> str:
    name = split_name(told) if told else None
    if told and (name is None or name.split in UNCLEAR):
        raise BadFile(f"{table.shown} has the split {printable(told)!r}", "write train, val or test")
    return name.split if name else ""


def _by_folder(files: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The splits that the folders of the files stand for; none unless all of them do, and one is for training."""
    names = {file.split("/")[0] if "/" in file else "" for file in files}
    for group in grouped(names).values():
        found = {split: tuple(folders) for split, folders in group.folders.items()}
        if "train" in found and len(found) > 1 and set(group.names()) == names and set(found) <= set(SPLIT_ORDER):
            return found
    return {}


def _inside(root: Path, path: Path) -> str:
    """A path inside `root`, else the whole path."""
    whole = os.path.abspath(path)
    inside = os.path.relpath(whole, root)
    return whole if inside.startswith("..") else "" if inside == "." else inside


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
