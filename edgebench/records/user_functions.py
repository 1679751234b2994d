"""A function in a file of the user's, `FILE.py:FUNCTION`: loads it, and tells with the line what goes wrong in it.

Whoever names it trusts it; no other file ever names one that is executed.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebench.errors import BadFile, UsageError, unknown_name


def is_function(name: str) -> bool:
    """Whether the name means a function in a file: `nets/mine.py:build`, and `mine.py`, which lacks the function."""
    return ".py:" in name or name.endswith(".py")


def split(name: str, example: str) -> tuple[Path, str]:
    """The file and the function of `FILE.py:FUNCTION`. Raises UsageError, with an example such as "metric.py:score", if
    one of them is missing."""
    file, _, function = name.rpartition(":")
    if not file.endswith(".py") or not function.isidentifier():
        shown = f"{name}:{example.rpartition(':')[2]}" if name.endswith(".py") else example
        raise UsageError(
            f"{name!r} does not name a function in a Python file", f"type FILE.py:FUNCTION, for example {shown}"
        )
    return Path(file), function


def read(path: Path) -> bytes:
    """The file, for its digest and for `load`. Raises BadFile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist", "check the path: it is relative to the current folder") from None
    except OSError as error:
        raise BadFile(f"{path} cannot be read: {error.strerror}") from None


def load(path: Path, function: str, source: bytes) -> Callable[..., Any]:
    """The function in this source of the file, which is executed. Raises UsageError for whatever goes wrong in it."""
    module_name = f"edgebench_user_{path.stem}"
    spec = importlib.util.spec_from_loader(module_name, _Source(path, source))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's file can raise anything
        raise UsageError(f"{path} fails when it is loaded: {told(error, path)}", "correct the file") from None
    found = getattr(module, function, None)
    if not callable(found):
        known = [
            n for n, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == module_name
        ]
        raise unknown_name(f"function in {path}:", function, known)
    return found


def told(error: BaseException, path: Path | None) -> str:
    """The error in one line, with the innermost line of the user's file in its traceback."""
    first = (str(error).strip() or "no message").splitlines()[0]
    text = f"{type(error).__name__}: {first}"
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {type(error).__name__}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"line {lines[-1]}: {text}" if lines else text


class _Source(importlib.abc.ExecutionLoader):
    """Runs exactly the bytes that were hashed, not a file changed since or a cached one."""

    def __init__(self, path: Path, source: bytes) -> None:
        self._path, self._source = path, source

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._source)

    def is_package(self, fullname: str) -> bool:
        return False
