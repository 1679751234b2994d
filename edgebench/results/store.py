"""Results on disk: one JSON file each, named by time and job, written atomically."""

from __future__ import annotations

import re
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records import jsonio
from edgebench.records.result import Result

# No text inside a string looks like this, for there its quotes are escaped.
SAMPLES = re.compile(r'"(latency_ns|warmup_ns|late_ns|device_ns)":\s*\[[^\]]*\]')


def save(result: Result, folder: Path) -> Path:
    """Write a result into the folder, by its own name."""
    path = folder / file_name(result)
    jsonio.write(path, result)
    return path


def file_name(result: Result) -> str:
    """A name that sorts by time and cannot collide."""
    moment = "".join(c for c in result.created[:26] if c.isdigit())
    return f"{moment}-{result.job.runtime}-{result.job.identity[:12]}.json"


def read(path: Path, *, samples: bool = True) -> Result:
    """One result; without its raw samples, most of the file, ten times as fast. Raises BadFile if it is none, or a
    newer edgebench's."""
    return jsonio.read(Result, path, trim=str if samples else _without_samples)


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
    """The folder of results that is meant by a workspace, or by such a folder itself."""
    return path / "results" if (path / "results").is_dir() else path
