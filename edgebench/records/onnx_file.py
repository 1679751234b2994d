"""Which files with weights an ONNX file refers to, found in a process of its own before anything loads the file.

A file that is cut short while it is read ends the process that reads it, and one that is made for it takes minutes.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from edgebench.errors import BadFile
from edgebench.records import files, onnx_walk

AGAIN = "export the model again, or get the file again"
WAITED_S = 600  # for a file on a disk that does not answer
_ours = False


def walk_here() -> None:
    """For a process that may end over a file, since its parent says what became of it: no other is started in it."""
    global _ours
    _ours = True


def external_files(path: Path) -> set[str]:
    """The names of the files with weights that the ONNX file refers to. Raises BadFile if it is not an ONNX file, or
    ends or holds up the process that reads it."""
    _refuse_what_is_no_file(path)
    if not _ours:
        return _asked(path)
    try:
        return onnx_walk.external_files(str(path))
    except (ValueError, IndexError) as error:
        raise _not_onnx(path, str(error)) from None


def _asked(path: Path) -> set[str]:
    command = [sys.executable, "-I", "-S", onnx_walk.__file__, str(path.resolve())]
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, text=True, timeout=WAITED_S)
    except subprocess.TimeoutExpired:
        raise BadFile(f"{path}: reading it took more than {WAITED_S} s", AGAIN) from None
    if done.returncode == -signal.SIGXCPU:
        raise BadFile(f"{path}: reading it took more than {onnx_walk.LIMIT_S} s", AGAIN)
    if done.returncode:
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise BadFile(f"{path}: the process that read it ended with {ended}", AGAIN)
    if done.stdout.startswith(onnx_walk.REFUSED):
        raise _not_onnx(path, done.stdout.removeprefix(onnx_walk.REFUSED).strip())
    return {bytes.fromhex(line).decode() for line in done.stdout.split()}


def _not_onnx(path: Path, why: str) -> BadFile:
    return BadFile(f"{path} is not an ONNX file, or damaged: {why}", AGAIN)


def _refuse_what_is_no_file(path: Path) -> None:
    """Raise BadFile for what often stands in a model's place."""
    with files.opened(path) as file:
        begin = file.read(100)
    if not begin:
        raise BadFile(f"{path} is empty", "fetch the file again")
    if begin.startswith(b"version https://git-lfs"):
        raise BadFile(f"{path} is not the model but where Git LFS finds it", "fetch the file: git lfs pull")
    if begin.lstrip()[:1] == b"<":
        raise BadFile(f"{path} is not a model but a web page", "fetch the file again")
