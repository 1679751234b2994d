"""Bytes that were damaged by chance."""

from __future__ import annotations

import random

TOGETHER = 10  # inputs of a seed


def changed(content: bytes, chance: random.Random) -> bytes:
    """The bytes with a few of them replaced, removed, doubled or put elsewhere."""
    made = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(made) + 1)
        size = chance.choice((1, 1, 2, 8, 64))
        kind = chance.randrange(5)
        if kind == 0 and at < len(made):
            made[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del made[at : at + size]
        elif kind == 2:
            made[at:at] = made[at : at + size]
        elif kind == 3:
            made[at:at] = chance.randbytes(size)
        else:
            del made[at:]
    return bytes(made)
