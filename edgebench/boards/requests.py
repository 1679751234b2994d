"""What a desk may ask of a board, by type: each request is decoded, and anything else is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from edgebench.errors import BadFile
from edgebench.records.declared import AdapterName, Count, Like, Sha256, Sized, Within
from edgebench.records.decoding import decode

# A file or folder of the agent's: it cannot lead out of the folder that it is made in.
Name = Annotated[str, Like("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", "an allowed file name")]
# A moment by the desk's clock, in s from 1970 to 2200: one that a file can be dated with.
Clock = Annotated[float, Within(0, 7_258_118_400)]


@dataclass(frozen=True)
class Lacking:
    """Which of these files are not there? By sha256, with their sizes."""

    files: dict[Sha256, Count]
    clock: Clock | None = None


@dataclass(frozen=True)
class Put:
    """Store a file, whose bytes follow."""

    sha256: Sha256
    size: Count


@dataclass(frozen=True, kw_only=True)
class Start:
    """Start a job: a command with these arguments, beside folders of files that were put there."""

    job: Name
    arguments: Annotated[tuple[str, ...], Sized(1, 10_000)]
    folders: dict[Name, dict[Name, Sha256]]
    images: Sha256 | None = None
    clock: Clock | None = None


@dataclass(frozen=True)
class Follow:
    """Tell the news of a job, from these positions in its files on."""

    job: Name
    at: dict[str, Count] = field(default_factory=dict)


@dataclass(frozen=True)
class Halt:
    """End a job that is not being followed."""

    job: Name


@dataclass(frozen=True)
class Forget:
    """Remove a job whose results have all been fetched."""

    job: Name


@dataclass(frozen=True)
class TryRuntimes:
    """Try these runtimes."""

    runtimes: tuple[AdapterName, ...]


@dataclass(frozen=True)
class Restore:
    """Put back the settings that a killed run changed."""


Request = Lacking | Put | Start | Follow | Halt | Forget | TryRuntimes | Restore
KINDS: dict[str, type[Request]] = {
    "lacks": Lacking, "put": Put, "start": Start, "follow": Follow, "stop": Halt, "forget": Forget,
    "probe": TryRuntimes, "restore": Restore,
}  # fmt: skip


def asked(found: dict[str, Any]) -> Request:
    """The request in the JSON of a line. Raises BadFile for what is none."""
    name = found.get("do")
    if not isinstance(name, str) or name not in KINDS:
        raise BadFile("this is not a request that a board knows", "use the same edgebench on both sides")
    return decode(KINDS[name], {key: value for key, value in found.items() if key != "do"}, name)
