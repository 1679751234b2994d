"""Results on disk: one JSON file each, named by time and job, written atomically."""

from __future__ import annotations

from pathlib import Path

from edgebench import jsonio
from edgebench.errors import BadFile
from edgebench.jobs import Result
from edgebench.specs import SCHEMA


def save(result: Result, folder: Path) -> Path:
    """Write a result into the folder; its name sorts by time and cannot collide."""
    moment = "".join(c for c in result.created[:26] if c.isdigit())
    path = folder / f"{moment}-{result.job.runtime}-{result.job.identity[:12]}.json"
    jsonio.write(path, result)
    return path


def read(path: Path) -> Result:
    """One result. Raises BadFile if it is none, or a newer edgebench's."""
    result = jsonio.read(Result, path)
    if result.schema > SCHEMA:
        raise BadFile(f"{path} has schema {result.schema}, newer than {SCHEMA}", "upgrade edgebench")
    return result


def read_all(folder: Path) -> tuple[list[Result], list[BadFile]]:
    """All results in the folder, oldest first, and an error for each other file: no bad file hides a good one."""
    found, problems = [], []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            found.append(read(path))
        except BadFile as error:
            problems.append(error)
    return sorted(found, key=lambda result: result.created), problems
