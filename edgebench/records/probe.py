"""What an adapter reports about itself on a machine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a runtime or exporter reports about itself on this machine; `error` and `fix` if it does not load.

    `accepts`: formats, of an exporter the precisions that it makes; `refused`: in sentences, those that it cannot make.
    `computes`: what it runs on here, best first; `lacking`: by what it does not run on here, what is missing, and the
    fix; `libraries`: the installed versions of those that it declares.
    """

    name: str
    accepts: tuple[str, ...] = ()
    version: str = ""
    computes: tuple[str, ...] = ()
    lacking: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    error: str = ""
    fix: str = ""
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProbeAnswers:
    """The answers of several adapters, in a file."""

    found: tuple[Probe, ...]
