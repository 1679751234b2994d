"""Results on disk: one JSON file each, named by time and job, written atomically."""

from __future__ import annotations

import re
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.machine.scenario_registry import find
from edgebench.records import files, jsonio
from edgebench.records.result import Result
from edgebench.results import rows
from edgebench.results.rows import Entry

# What is raised where figures do not fit each other.
CONTRADICTION = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# Text inside a string cannot look like this: its quotes are escaped.
SAMPLES = re.compile(rb'"(?:latency_ns|warmup_ns|late_ns|device_ns)":\s*\[')


def save(result: Result, folder: Path) -> Path:
    """Write a result into the folder, under its own name."""
    path = files.inside(folder, result.file_name)
    jsonio.write(path, result)
    return path


def read(path: Path, *, samples: bool = True) -> Result:
    """Read one result; ten times as fast without its raw samples, most of the file. Raises BadFile if the file is not a
    result, or is a newer edgebench's; or if a figure of it cannot be shown beside the others, so that no such file
    hides the rest."""
    result = _parsed(path, samples)
    check(result, str(path))
    return result


def entry(path: Path) -> Entry:
    """What tables need of a result. Raises BadFile as `read` does."""
    found = check(_parsed(path, samples=False), str(path))
    vars(found.row)["file"] = path.name
    return found


def _parsed(path: Path, samples: bool) -> Result:
    return jsonio.read(Result, path, trim=bytes if samples else _without_samples)


def check(result: Result, where: str) -> Entry:
    """What tables need of the result. Raises BadFile unless a row and a headline can be made of it: each value is one
    that its field may have, but may not fit the others."""
    try:
        made = rows.entry(result)
        scenario = find(result.job.scenario)
        if scenario.headline and (result.summary or scenario.figures):
            scenario.headline(result)
        return made
    except CONTRADICTION as error:
        told = f"{where}: its figures contradict each other ({type(error).__name__}: {error})"
        raise BadFile(told, "measure again") from None


def _without_samples(text: bytes) -> bytes:
    """The text with empty lists of samples. A pattern for whole lists would take five times as long."""
    parts, done, at = [], 0, 0
    while found := SAMPLES.search(text, at):
        at, ends = found.end(), text.find(b"]", found.end())
        if ends >= 0 and not text[at:ends].translate(None, b"0123456789, \t\r\n"):
            parts.append(text[done:at])
            done = at = ends
    return b"".join([*parts, text[done:]]) if parts else text


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
