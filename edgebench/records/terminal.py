"""Text from outside, made safe to print: on its way to the terminal, whatever printed it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import Any, TextIO

UNSAFE = re.compile(r"[^\n\t -~]")
SPACES = "\u00a0\u2009\u202f"  # Python does not call them printable
SUBSTITUTE = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Names come from outside: they must not move the cursor, set the terminal's title or turn its text around."""
    return UNSAFE.sub(lambda found: found[0] if found[0].isprintable() or found[0] in SPACES else SUBSTITUTE, text)


class Shown:
    """A stream of the process for people: all that is written to it is printable. rich, which has its own codes to
    write, is given the stream below; its tables are made of printable text."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # the attribute by which rich finds it

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(printable(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    @property
    def encoding(self) -> str:
        """Whatever the stream's is, it takes all text: click would go round it otherwise."""
        return "utf-8"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)


def settle() -> None:
    """Make the process's streams fit for any text. One that was closed leads nowhere: a file that is opened must not
    take its number, to which a library may print."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        with contextlib.suppress(OSError):
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # takes the lowest free number
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
    for name in ("stdout", "stderr"):
        if not isinstance(stream := getattr(sys, name), Shown):
            setattr(sys, name, Shown(stream))
