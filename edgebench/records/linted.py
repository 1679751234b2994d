"""What a target's own parser says of a model, and what is known of the target: findings, and the verdict of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["refused", "unproven", "wrong", "changed", "slower"]
KINDS: dict[Kind, str] = {
    "refused": "the target does not take it",
    "unproven": "the parser that stands in does not take it, but the target may",
    "wrong": "answers are known to be wrong",
    "changed": "the target computes something else than the file says",
    "slower": "the target takes a slower way than the file suggests",
}


@dataclass(frozen=True, kw_only=True)
class LintFinding:
    """One thing about a model. `node`, `operator`: of the graph, empty if it concerns all of it; `fix`: what helps.

    `source`: the issue or page, with the version, from which it is known; empty if the parser itself says it.
    """

    kind: Kind
    reason: str
    fix: str = ""
    node: str = ""
    operator: str = ""
    source: str = ""

    @property
    def where(self) -> str:
        return " ".join(
            filter(None, (repr(self.node) if self.node else "", f"({self.operator})" * bool(self.operator)))
        )


@dataclass(frozen=True, kw_only=True)
class Linted:
    """The verdict on a model for a target.

    `target` is empty where the file is no model that any target could read, so that no parser was asked. `parser`:
    what was asked, with its version; `stand_in`: it is not the target's own, and what that means. `status`:
    "taken" and "refused" by the parser; "ended": the process that asked it ended before there was an answer; "not
    asked": it is not here, or does not read such files. `reason`, `fix`: of "ended" and "not asked".
    """

    model: str
    target: str
    status: Literal["taken", "refused", "ended", "not asked"]
    parser: str = ""
    stand_in: str = ""
    findings: tuple[LintFinding, ...] = ()
    reason: str = ""
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether the parser took it, and nothing is known to go wrong."""
        return self.status == "taken" and not any(f.kind in ("refused", "wrong") for f in self.findings)
