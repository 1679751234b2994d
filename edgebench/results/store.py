"""Results on disk: one JSON file each, named by time and job, written atomically."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records import jsonio
from edgebench.records.result import Result

# Text inside a string cannot look like this: its quotes are escaped.
SAMPLES = re.compile(r'"(latency_ns|warmup_ns|late_ns|device_ns)":\s*\[[^\]]*\]')


def save(result: Result, folder: Path) -> Path:
    """Write a result into the folder, under its own name."""
    path = folder / file_name(result)
    jsonio.write(path, result)
    return path


def file_name(result: Result) -> str:
    """A name that sorts by time and cannot collide."""
    moment = "".join(c for c in result.created[:26] if c.isdigit())
    return f"{moment}-{result.job.runtime}-{result.job.identity[:12]}.json"


def read(path: Path, *, samples: bool = True) -> Result:
    """Read one result; ten times as fast without its raw samples, most of the file. Raises BadFile if the file is not a
    result, or is a newer edgebench's."""
    result = jsonio.read(Result, path, trim=str if samples else _without_samples)
    try:
        datetime.fromisoformat(result.created)
    except ValueError:
        raise BadFile(f"{path}: created is {result.created!r}, which is no time", "measure again") from None
    return result


def _without_samples(text: str) -> str:
    return SAMPLES.sub(r'"\1": []', text)


def read_all(folder: Path) -> tuple[list[Result], list[BadFile]]:
    """All results in the folder, oldest first, and an error for each other file: no bad file hides a good one."""
    found, problems = [], []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            found.append(read(path))
        except BadFile as error:
            problems.append(error)
    return sorted(found, key=lambda result: result.created), problems


def folder_in(path: Path) -> Path:
    """The folder of results of a workspace, or the given folder if it is one."""
    return path / "results" if (path / "results").is_dir() else path
