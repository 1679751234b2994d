"""A file in a second place without a second copy of its bytes: a reflink, else a hard link, else a copy."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from pathlib import Path
from typing import Literal

from edgebench.errors import BadFile

Linked = Literal["reflink", "link", "copy"]
FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file until one of the two is written


def place(source: Path, target: Path, *, link: bool = True) -> Linked:
    """Put the file at `target`, which does not exist yet. Raises BadFile if it is no regular file.

    A hard link is made only of a file that is ours: of another's we could not tell who may change it. With `link`
    False it is never made: the onnx library then reads weights from neither place, for fear of an attack.
    """
    told = source.stat()
    if not stat.S_ISREG(told.st_mode):
        raise BadFile(f"{source} is not a regular file", "name a file")
    with contextlib.suppress(OSError), source.open("rb") as read, target.open("xb") as write:
        fcntl.ioctl(write, FICLONE, read.fileno())
        return "reflink"
    target.unlink(missing_ok=True)
    if link and told.st_uid == os.geteuid():
        with contextlib.suppress(OSError):  # another file system, or one without hard links
            os.link(source.resolve(), target)
            return "link"
    shutil.copyfile(source, target)
    return "copy"


def beside(model: Path, name: str) -> Path:
    """The file `name` with weights of the model, which has to lie beside it. Raises BadFile for one that leads away."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name or not name:
        raise BadFile(f"{model} keeps weights in {name!r}, outside of its folder", "get a file that names its own")
    if len(Path(name).parts) != 1:
        raise BadFile(
            f"{model} keeps weights in {name!r}, in a folder below its own",
            "save it with all of them in one file beside it: "
            "onnx.save_model(model, FILE, save_as_external_data=True, location='weights.bin')",
        )
    path = model.parent / name
    if not path.is_file():
        raise BadFile(f"{path}, where {model.name} keeps weights, is missing", "copy it beside the model")
    if path.is_symlink() and not path.resolve().is_relative_to(model.parent.resolve()):
        raise BadFile(f"{path} is a link that leads out of its folder", "copy the file itself there: cp -L")
    return path
