"""Text from outside, made safe to print on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Names come from outside: they must not move the cursor or set the terminal's title."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
