"""`python -m edgebench.linting.asking ASKED.json ANSWER.json`: asks a target's parser, in a process of its own.

A parser may crash on a file that nobody here has seen, hang, or take all memory. The process that asks does neither.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edgebench import artifact as folder
from edgebench.errors import BadFile, EdgebenchError, Unsupported
from edgebench.machine import registry
from edgebench.machine.children import end_with_parent, teller
from edgebench.records import jsonio, replacing
from edgebench.records.linted import Linted, LintFinding

PARSING = "its parser"  # the phase in which the library has the file


@dataclass(frozen=True, kw_only=True)
class ToLint:
    """A model for a target: a file as it is, or the folder of an artifact, of which its exporter takes what it would
    hand to the target."""

    source: str
    target: str
    format: str


def ask(asked: ToLint, tell: Callable[[str], None], known: Callable[[Linted], None]) -> Linted:
    """The verdict. `known` hears what the table of traps says before the parser gets the file."""
    found = Linted(model=asked.source, target=asked.target, status="ended")
    with replacing.scratch() as scratch:
        try:
            linter, makes = registry.load_object("linters", asked.target), registry.names("exporters")
            exporter = registry.load_object("exporters", asked.target) if asked.target in makes else None
        except Unsupported as error:  # something is not installed
            return replace(found, status="not asked", reason=error.message, fix=error.fix)
        try:
            path = _file(asked, exporter, Path(scratch))
            found = replace(found, findings=tuple(linter.traps(path)))
        except ModuleNotFoundError as error:
            fix = "pip install 'edgebench[onnx]'"
            return replace(found, status="not asked", reason=f"it needs {error.name}, which is not installed", fix=fix)
        except EdgebenchError as error:  # its exporter refuses it, or the file is none of its kind
            refusal = LintFinding(kind="refused", reason=error.message, fix=error.fix)
            for_all = isinstance(error, BadFile) and Path(asked.source).is_file()
            target = "" if for_all else asked.target
            return replace(found, target=target, status="refused", findings=(refusal,), parser="edgebench")
        known(found)
        try:
            parser, stand_in = _parser(asked.target)
        except Unsupported as error:
            return replace(found, status="not asked", reason=error.message, fix=error.fix)
        tell(PARSING)
        said = tuple(parser.lint(path))
    if stand_in:
        lacks = registry.facts("linters", asked.target).stand_in_lacks
        said = tuple(_unproven(finding, lacks) for finding in said)
    found = replace(found, parser=parser.parser(), stand_in=stand_in, findings=(*said, *found.findings))
    kinds = {finding.kind for finding in said}
    if "unproven" in kinds and "refused" not in kinds:
        reason = "the parser that stands in has no such operator, so it did not read the rest"
        return replace(found, status="not asked", reason=reason, fix="lint it where the target itself is")
    return replace(found, status="refused" if "refused" in kinds else "taken")


def _unproven(finding: LintFinding, lacks: tuple[str, ...]) -> LintFinding:
    """The finding, as it is meant where the target has an operator that its stand-in lacks."""
    beyond = finding.kind == "refused" and any(fnmatchcase(finding.operator, glob) for glob in lacks)
    return replace(finding, kind="unproven") if beyond else finding


def _file(asked: ToLint, exporter: Any, scratch: Path) -> Path:
    source = Path(asked.source)
    if source.is_file():
        return source
    artifact = folder.read(source)
    if hasattr(exporter, "handed") and artifact.format == exporter.accepts[artifact.precision][0]:
        return exporter.handed(artifact, scratch)
    return folder.model_file(artifact, registry.facts("linters", asked.target).suffixes[artifact.format])


def _parser(target: str) -> tuple[Any, str]:
    """The target's own parser; where it is not here, one that stands in for it, and what that means."""
    try:
        return registry.load("linters", target), ""
    except Unsupported as missing:
        stated = registry.facts("linters", target)
        if not stated.stand_in:
            raise
        try:
            return registry.load("linters", stated.stand_in), stated.stand_in_means
        except Unsupported as error:
            raise Unsupported(f"{missing.message}, nor does its stand-in work: {error.message}", error.fix) from None


def main(arguments: list[str]) -> None:
    end_with_parent()
    asked_file, answer_file = map(Path, arguments)
    write = lambda answer: jsonio.write(answer_file, answer)  # noqa: E731
    write(ask(jsonio.read(ToLint, asked_file), teller(), write))


if __name__ == "__main__":
    main(sys.argv[1:])
