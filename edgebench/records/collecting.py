"""Python's search for garbage, which costs more than it finds where thousands of objects are made that all live on."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No search meanwhile. Also decorates a function."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def leave_out() -> None:
    """What there is now lives to the end: no later search looks at it."""
    gc.freeze()
