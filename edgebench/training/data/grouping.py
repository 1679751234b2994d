"""Reads --group-by: which files belong together, by a pattern of their paths or by a CSV or JSON file."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgebench.errors import BadFile, UsageError
from edgebench.machine.children import ENVIRONMENT
from edgebench.records.recipe import check_groups, is_group_file

PATTERN_S = 30.0  # a pattern that takes longer would never end: each nested repetition doubles its time
MOST_BYTES = 1 << 28  # of a file of groups


def numbered(group_by: str, names: Sequence[str]) -> np.ndarray:
    """int64 (n,): by file, the number of its group, or −1 for one that stands alone.

    `group_by`: a regular expression, whose group names a file's group, or a .csv or .json file. Raises UsageError if
    it names no group.
    """
    check_groups(group_by)
    of_file = is_group_file(group_by)
    named = _of_file(Path(group_by).expanduser(), names) if of_file else _of_pattern(group_by, names)
    known = sorted({name for name in named if name is not None})
    if not known:
        raise UsageError(
            f"--group-by {group_by} names no file of the dataset, such as {names[0]}" if names else "no files",
            r"give a pattern that a part of each path matches: '/(scene\d+)_', or a file with paths as they are there",
        )
    number = {name: i for i, name in enumerate(known)}
    return np.array([-1 if name is None else number[name] for name in named], np.int64)


def content(group_by: str) -> bytes:
    """Bytes to hash that change if the groups that are named do."""
    check_groups(group_by)
    return Path(group_by).expanduser().read_bytes() if is_group_file(group_by) else group_by.encode()


def _of_pattern(pattern: str, names: Sequence[str]) -> list[str | None]:
    """By file, what the groups of the pattern match in its path, or else the whole match.

    Another process does it, since a pattern can take longer than anybody lives, and cannot be interrupted.
    """
    asked = json.dumps([pattern, list(names)])
    try:
        done = subprocess.run(
            [sys.executable, "-c", MATCH], input=asked.encode(), capture_output=True, timeout=PATTERN_S,
            env=ENVIRONMENT, check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"--group-by {pattern!r} takes too long on these {len(names)} paths",
            "a repetition inside a repetition, as in (a+)+, does that: write it without",
        ) from None
    return json.loads(done.stdout)


MATCH = """
import json, re, sys
pattern, names = json.loads(sys.stdin.buffer.read())
found = (re.search(pattern, name) for name in names)
told = [None if each is None else "\\0".join(part or "" for part in each.groups() or [each[0]]) for each in found]
sys.stdout.write(json.dumps(told))
"""


def _of_file(path: Path, names: Sequence[str]) -> list[str | None]:
    """By file, its group in a CSV file of two columns (path, group), or a JSON object of groups by path."""
    if path.stat().st_size > MOST_BYTES:
        raise BadFile(f"{path} is larger than any file of groups", "name another file")
    fix = 'write "path,group" and then a line for each picture, or {"path": "group"}'
    try:
        text = path.read_text("utf-8-sig")
        if path.suffix.lower() == ".json":
            told = json.loads(text)
            if not isinstance(told, dict):
                raise ValueError("it is not an object")
            pairs = [(name, group) for name, group in told.items()]
        else:
            rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
            if bad := next((row for row in rows if len(row) < 2), None):
                raise ValueError(f"the line {','.join(bad)!r} has no second column")
            pairs = [(row[0], row[1]) for row in rows]
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise BadFile(f"{path} is no file of groups: {error}", fix) from None
    groups = {str(name).strip().removeprefix("./"): str(group).strip() for name, group in pairs}
    return [groups.get(name) for name in names]
