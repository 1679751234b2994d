"""What ssh and a board print on the side: read as it comes, so that nobody waits, and kept by its end alone."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any


class Tail:
    """Reads a stream to its end, and keeps the last of it. `count`: how many bytes there were."""

    def __init__(self, stream: Any, most: int = 4000) -> None:
        self.count, self._kept, self._stream, self._most = 0, b"", stream, most
        self._thread = threading.Thread(target=self._follow, name="complaints", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # it was closed
            while block := os.read(self._stream.fileno(), 1 << 16):
                self.count += len(block)
                self._kept = (self._kept + block)[-self._most :]

    def end(self) -> bytes:
        """The last of it, once nobody is expected to write any more."""
        self._thread.join(1)
        return self._kept

    def close(self) -> None:
        """A connection that ssh shares with others (ControlPersist) may keep the stream open: then it is left so."""
        self._thread.join(0.2)
        if not self._thread.is_alive():
            self._stream.close()
