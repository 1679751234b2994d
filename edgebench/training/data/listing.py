"""Lists the files of a folder: which are pictures and of what place, and why each of the others is left out."""

from __future__ import annotations

import bisect
import os
import stat
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records import account
from edgebench.records.account import SHOWN, LeftOut, Reason
from edgebench.training.data.decoding import File
from edgebench.training.data.kinds import kind

Place = Hashable  # what stands for the pictures of one folder, such as a split and a label
# Names in lower case. Network drives, cameras and operating systems leave these beside pictures.
THUMBNAILS = {"@eadir", ".@__thumb", ".thumbnails", ".picasaoriginals"}
SYSTEM_FOLDERS = {
    "__macosx", "lost+found", "$recycle.bin", "#recycle", "@recycle", "#snapshot", "@recently-snapshot",
    "system volume information", "__pycache__", ".ipynb_checkpoints", ".spotlight-v100", ".fseventsd", ".trashes",
    ".git", ".svn",
}  # fmt: skip
SYSTEM_FILES = {".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", ".nomedia", "picasa.ini"}
UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".temp", ".bak", ".swp", "~")


@dataclass
class Listing:
    """The pictures of each place by name, and all other files by reason: how many, and the first names."""

    pictures: dict[Place, list[File]] = field(default_factory=dict)
    _counts: dict[Reason, int] = field(default_factory=dict)
    _names: dict[Reason, list[str]] = field(default_factory=dict)

    def leave(self, reason: Reason, name: str) -> None:
        names = self._names.setdefault(reason, [])
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if len(names) < SHOWN or name < names[-1]:
            bisect.insort(names, name)
            del names[SHOWN:]

    def left_out(self) -> tuple[LeftOut, ...]:
        return account.merged(
            LeftOut(reason=reason, count=count, names=tuple(map(printable, self._names[reason])))
            for reason, count in self._counts.items()
        )


def junk(name: str, *, folder: bool = False) -> Reason | None:
    """Why a file or folder of this name is never a picture of the user's, or None."""
    lower = name.lower()
    if folder and lower in THUMBNAILS:
        return "thumbnail"
    if lower in (SYSTEM_FOLDERS if folder else SYSTEM_FILES) or name.startswith("._"):
        return "system"
    if name.startswith("."):
        return "hidden"
    return "system" if not folder and lower.endswith(UNFINISHED) else None


def printable(name: str) -> str:
    """A file name fit for a terminal and a page: "?" for what is not UTF-8 and for control characters."""
    text = name.encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in text)


def folders(path: Path) -> list[str]:
    """The names of the folders in a folder, also of links to folders, without junk."""
    try:
        with os.scandir(path) as entries:
            return sorted(e.name for e in entries if not junk(e.name, folder=True) and e.is_dir())
    except OSError as error:
        raise BadFile(f"{printable(str(path))} cannot be read: {error.strerror}") from None


def walk(root: Path, places: Mapping[str, Place], unused: Collection[str] = ()) -> Listing:
    """List all files in `root`. `places`: by the path of a folder inside it, its place, which its subfolders share.

    Folders on the way to a place, and places, may be links; linked folders inside a place are not followed, since they
    may form a circle. `unused`: folders on the way whose pictures belong to no place. A link to nothing and a pipe are
    listed as pictures if they are named like one: they are missing pictures.
    """
    ways = {path[:i] for path in (*places, *unused) for i, c in enumerate(path) if c == "/"} | {""}
    listing = Listing()
    stack: list[tuple[str, Callable[[File], None] | Reason]] = []

    def role_of(path: str, above: Callable[[File], None] | Reason) -> Callable[[File], None] | Reason:
        if path in places:
            return listing.pictures.setdefault(places[path], []).append
        if path in unused:
            return "unused"
        return "no_class" if path in ways else above

    start = os.fspath(root).rstrip("/") + "/"
    stack.append(("", role_of("", "no_class")))
    while stack:
        inside, role = stack.pop()
        try:
            with os.scandir(start + inside) as entries:
                found = list(entries)
        except OSError as error:
            if role in ("system", "hidden", "thumbnail"):  # such as lost+found, which only root may read
                listing.leave(role, inside)
                continue
            raise BadFile(f"{printable(error.filename)} cannot be read: {error.strerror}") from None
        prefix = f"{inside}/" if inside else ""
        for entry in found:
            name = entry.name
            path = prefix + name
            link, state = entry.is_symlink(), None
            if entry.is_dir(follow_symlinks=False) or (link and entry.is_dir()):
                reason = junk(name, folder=True)
                if link and (reason or not (path in places or path in ways or path in unused)):
                    listing.leave(reason or "folder_link", path)
                else:
                    stack.append((path, reason or role_of(path, role)))
                continue
            reason = role if role in ("system", "hidden", "thumbnail") else junk(name) or kind(start, path)
            if reason is None or link or not entry.is_file(follow_symlinks=False):
                try:
                    state = entry.stat()
                    regular = stat.S_ISREG(state.st_mode)  # opening a pipe would block
                except OSError:  # a link to nothing
                    regular = False
                if not regular and reason not in (None, "system", "hidden", "thumbnail"):
                    reason = "link_broken" if link else "not_a_file"
            if reason is None and callable(role):
                role(File(path, state.st_size, state.st_mtime_ns) if regular else File(path, -1, 0))
            else:
                listing.leave(reason or role, path)
    for some in listing.pictures.values():
        some.sort(key=lambda file: file.name)
    return listing
