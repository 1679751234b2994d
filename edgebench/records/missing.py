"""A path that does not exist: the error, with the names near it that may have been meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from edgebench.errors import BadFile

MADE_BY = (
    "`edgebench train` makes a checkpoint, `edgebench export` an artifact, `edgebench adopt FILE` one of a model file"
)


def missing(path: Path, folders: Sequence[Path] = ()) -> BadFile:
    """BadFile that offers near names in the path's folder and, for a bare name of an artifact, in `folders`."""
    end = path.suffix[1:]
    is_file = end.isalnum() and not end.isdigit()
    if is_file and not path.parent.is_dir():
        return BadFile(f"{path} does not exist", f"check the path: there is no folder {path.parent}")
    places = [path.parent, *(folders if path == Path(path.name) and not is_file else ())]
    near = [str(found) for place in places for found in _near(path, place, is_file)][:3]
    fix = ["check the path"] if is_file else []
    fix += [f"did you mean {' or '.join(near)}?"] if near else []
    return BadFile(f"{path} does not exist", "; ".join(fix) or MADE_BY)


def _near(path: Path, place: Path, is_file: bool) -> list[Path]:
    """What lies there and is called as the path is: first what begins with its name, then what is spelled alike.

    The names of files are compared without their ends, which many share.
    """
    if not place.is_dir():
        return []
    found = sorted(one for one in place.iterdir() if one.name.isprintable() and not one.name.startswith("."))
    said = {one: (one.stem if is_file else one.name).lower() for one in found if is_file or one.is_dir()}
    name = (path.stem if is_file else path.name).lower()
    begun = [one for one, known in said.items() if name and known.startswith(name)]
    close = difflib.get_close_matches(name, set(said.values()), n=3, cutoff=0.6)
    return begun or sorted((one for one in found if said.get(one) in close), key=lambda one: close.index(said[one]))
