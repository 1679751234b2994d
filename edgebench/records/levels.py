"""The grey values that become black and white in pictures of more than 8 bits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Grey values, as Pillow gives them, that become 0 (`low`, and all below) and 255 (`high`, and all above).

    They apply to pictures with one channel of 16 or 32 bits or of floats; a value that is not a number becomes 0.
    Pictures of 8 bits stay as they are.
    """

    low: float
    high: float
