"""Reads a table of labels, CSV or JSON: which column is what, and the file, label and split of each line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile
from edgebench.training.data.listing import printable

MOST_BYTES = 64 << 20
SHOWN = 3
# Names of columns by what they mean, the first that a table has is taken: lower case, "_" for spaces and hyphens.
NAMES = {
    "file": (
        "file", "filename", "file_name", "filepath", "file_path", "image_path", "image_file", "image_name", "imagepath",
        "image", "img_path", "img_name", "img", "path", "picture", "photo", "frame", "image_id", "img_id", "name", "id",
    ),
    "label": (
        "label_name", "class_name", "category_name", "classname", "label", "labels", "class", "classes", "category",
        "target", "species", "breed", "variety", "diagnosis", "dx", "tag", "y", "class_id", "label_id", "category_id",
    ),
    "split": ("split", "set", "subset", "partition", "usage"),
}  # fmt: skip
HEAD = "give it a first line such as file,label or file,label,split"


@dataclass(frozen=True)
class Line:
    """What a table says of one file. `label` and `split` are "" where it says nothing."""

    file: str
    label: str
    split: str


@dataclass(frozen=True)
class Table:
    """The lines of a table; `columns`: by meaning, a column's name. "label" is missing if each class has a column."""

    path: Path
    columns: dict[str, str]
    lines: list[Line]

    @property
    def shown(self) -> str:
        """The path, fit for a terminal."""
        return printable(str(self.path))

    def labels(self) -> set[str]:
        return {line.label for line in self.lines if line.label}


def read(path: Path) -> Table:
    """The labels in a CSV or JSON file. Raises BadFile if it is none, or if a file in it has several labels."""
    shown = printable(str(path))
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise BadFile(f"{shown} has {size >> 20} MiB, more than {MOST_BYTES >> 20}", "leave out its other columns")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadFile(f"{shown} is not UTF-8", "save it as CSV in UTF-8") from None
    except OSError as error:
        raise BadFile(f"{shown} cannot be read: {error.strerror}", "name a CSV or JSON file of labels") from None
    ending = path.suffix.lower()
    try:
        rows = _json_rows(text, ending, shown) if ending in (".json", ".jsonl", ".ndjson") else _csv_rows(text, shown)
    except csv.Error as error:
        raise BadFile(f"{shown} is not CSV: {error}", "save it as CSV again") from None
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{shown} is not JSON: {error}", "save it as JSON again, or as CSV") from None
    if not rows:
        raise BadFile(f"{shown} lists no files", HEAD)
    return _table(path, rows, shown)


def _csv_rows(text: str, shown: str) -> list[dict[str, Any]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    head = [name.strip() for name in next(lines, [])]
    if len(set(head)) < len(head):
        raise BadFile(f"{shown} has two columns of one name", "rename one of them")
    rows = []
    for line in lines:
        if not any(line):
            continue
        if len(line) != len(head):
            raise BadFile(
                f"{shown}, line {lines.line_num}: {len(line)} values, but the first line names {len(head)} columns",
                "repair the line",
            )
        rows.append(dict(zip(head, line, strict=True)))
    return rows


def _json_rows(text: str, ending: str, shown: str) -> list[dict[str, Any]]:
    if ending != ".json":
        found: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        found = json.loads(text)
    if isinstance(found, dict) and found and not any(isinstance(value, (dict, list)) for value in found.values()):
        return [{"file": file, "label": label} for file, label in found.items()]
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        fix = 'write a list of {"file": "a.jpg", "label": "cat"}, or one object {"a.jpg": "cat"}'
        raise BadFile(f"{shown} holds no list of files with labels", fix)
    return found


def _table(path: Path, rows: Sequence[Mapping[str, Any]], shown: str) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    plain = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    columns = {
        meaning: next(plain[each] for each in known if each in plain)
        for meaning, known in NAMES.items()
        if any(each in plain for each in known)
    }
    listed = ", ".join(printable(name) for name in names[:8])
    if "file" not in columns:
        raise BadFile(f"{shown} has no column of file names: it has {listed}", HEAD)
    classes = [name for name in names if name not in (columns["file"], columns.get("split"))]
    if len(classes) > 1 and all(_text(row.get(name)) in ("0", "1", "") for row in rows for name in classes):
        columns.pop("label", None)
        return Table(path, columns, _from_columns(rows, columns, classes, shown))
    if "label" not in columns:
        raise BadFile(f"{shown} has no column of labels: it has {listed}", HEAD)
    lines, several = [], []
    for row in rows:
        label = row.get(columns["label"])
        if isinstance(label, list) and len(label) < 2:
            label = label[0] if label else None
        if isinstance(label, (dict, list)):
            several.append(_text(row.get(columns["file"])))
        lines.append(_line(row, columns, "" if isinstance(label, (dict, list)) else _text(label)))
    if several:
        _refuse_several(several, shown)
    return Table(path, columns, lines)


def _from_columns(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], classes: Sequence[str], shown: str
) -> list[Line]:
    """One column for each class, as Roboflow exports them: 1 in the column of the file's class."""
    marked = [[name for name in classes if _text(row.get(name)) == "1"] for row in rows]
    if several := [_text(row.get(columns["file"])) for row, found in zip(rows, marked, strict=True) if len(found) > 1]:
        _refuse_several(several, shown)
    return [_line(row, columns, found[0] if found else "") for row, found in zip(rows, marked, strict=True)]


def _refuse_several(files: Iterable[str], shown: str) -> None:
    files = list(files)
    names = ", ".join(map(printable, files[:SHOWN])) + (" …" if len(files) > SHOWN else "")
    raise BadFile(
        f"{shown} gives several labels to {len(files)} of its files ({names}): edgebench trains networks that tell one "
        "class from the others",
        "keep one label for each file, or delete these lines",
    )


def _line(row: Mapping[str, Any], columns: Mapping[str, str], label: str) -> Line:
    return Line(_text(row.get(columns["file"])), label, _text(row.get(columns.get("split", ""), "")))


def _text(value: Any) -> str:
    """A value as text; a whole number that was written as 3.0 is 3."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()
