"""What a linter must offer, and what it may state about itself: runtimes/README.md says how to write one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgebench.records.linted import LintFinding


@dataclass(frozen=True, kw_only=True)
class LinterFacts:
    """What a linter states about itself; only `suffixes` is required.

    suffixes: by format that its parser reads, how the name of a model file ends.
    stand_in: the linter that is asked where its own parser is not installed; stand_in_means: what that proves, as a
        sentence that goes on after the stand-in's name;
        stand_in_lacks: globs of the operators that the target takes and the stand-in refuses.
    aliases, installs, install_note: as a runtime's.
    """

    suffixes: Mapping[str, str] = field(default_factory=dict)
    stand_in: str = ""
    stand_in_means: str = ""
    stand_in_lacks: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    installs: Mapping[str, str] = field(default_factory=dict)
    install_note: str = ""


class Linter(Protocol):
    """Asks a target's own parser about a model file, in a process of its own. LinterFacts lists what it may state.

    It is made without arguments, which needs the parser's library. `traps` is asked of the class, also without it.
    """

    suffixes: Mapping[str, str]

    def parser(self) -> str:
        """The parser and its version, as a person calls it."""

    def lint(self, path: Path) -> Sequence[LintFinding]:
        """What the parser says of the file; it takes it if nothing in it is "refused"."""

    @staticmethod
    def traps(path: Path) -> Sequence[LintFinding]:
        """What is known to go wrong with such a file on this target, whatever the parser says."""
