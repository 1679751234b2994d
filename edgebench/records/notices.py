"""Typed warnings that travel with a result."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """A typed warning with its remedy; it travels with the result."""

    code: str
    message: str
    remedy: str
