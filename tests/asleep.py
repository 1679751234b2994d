"""Files that answer EAGAIN, as a Jetson's sensors do whose part of the chip is switched off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from unittest.mock import patch


@contextmanager
def asleep(*endings: str) -> Iterator[None]:
    """Inside, files whose paths end so can be opened, but answer EAGAIN to every read.

    It is a pipe's that must not wait for its writer, so that Python makes of it what it makes of a sensor's.
    """
    plain, (reader, writer) = Path.open, os.pipe()
    os.set_blocking(reader, False)

    def opened(path: Path, *args, **kwargs) -> IO:
        return open(os.dup(reader), *args, **kwargs) if str(path).endswith(endings) else plain(path, *args, **kwargs)

    try:
        with patch.object(Path, "open", opened):
            yield
    finally:
        os.close(reader)
        os.close(writer)
