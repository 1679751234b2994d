"""Lints models for targets: a process for each pair, whose end is an answer too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from edgebench.errors import BadFile, positive
from edgebench.linting.asking import ToLint
from edgebench.machine import registry
from edgebench.machine.children import Child
from edgebench.records import jsonio, replacing
from edgebench.records.linted import Linted
from edgebench.records.missing import missing
from edgebench.specs import Artifact

LIMIT_S = 120.0


def lint(
    source: Artifact | Path, targets: Sequence[str] = (), *, time_limit_s: float = LIMIT_S,
    tell: Callable[[str], None] = lambda stage: None,
) -> list[Linted]:  # fmt: skip
    """The verdict of each target, by default of all that read such files and are here; a single one, of no target, on
    a file that is damaged.

    Of a file the verdict is on what it holds; of an artifact, on what `export` would hand to the target. Raises
    UsageError for an unknown target, BadFile for a path that no target reads.
    """
    positive("--time-limit", time_limit_s)
    names = [registry.canonical("linters", name) for name in targets]
    where, format = (source.path, source.format) if isinstance(source, Artifact) else (source, _format(source))
    known = {name: stated for name, stated in registry.all_facts("linters").items() if format in stated.suffixes}
    if not known:
        reason = f"{where} is {format}: no target's parser reads it"
        raise BadFile(reason, "edgebench export --target onnx" if format == "checkpoint" else "name an ONNX file")
    found = []
    for name in names or known:
        tell(f"{where.name}: {name}")
        if name in known:
            found.append(_asked(ToLint(source=str(where.resolve()), target=name, format=format), time_limit_s, tell))
        else:
            takes = ", ".join(registry.facts("linters", name).suffixes)
            reason = f"{name} reads no {format} files: it reads {takes}"
            found.append(
                Linted(model=str(where), target=name, status="not asked", reason=reason, fix="another --target")
            )
        if not found[-1].target:
            found = found[-1:]
            break
    kept = found if names else [one for one in found if one.status != "not asked"]
    taken = [one.target for one in kept if one.status == "taken"]
    return [_with_others(replace(one, model=str(where)), taken) for one in kept or found]


def _with_others(linted: Linted, taken: Sequence[str]) -> Linted:
    """With the targets among those that were asked that take what this one refuses: no other is a way out."""
    others = f", or --target {' or '.join(taken)}, which takes it" if taken else ""
    findings = (replace(f, fix=f.fix + others) if f.kind == "refused" and f.fix else f for f in linted.findings)
    return replace(linted, findings=tuple(findings))


def explain(linted: Linted) -> str:
    """The verdict in sentences, with what it does not prove."""
    if linted.status in ("not asked", "ended"):
        return f"Whether the target takes it is not known: {linted.reason} (fix: {linted.fix})."
    worst = next((f for f in linted.findings if f.kind in ("refused", "wrong")), None)
    told = f" It {linted.stand_in}." if linted.stand_in else ""
    if worst is None:
        return f"{linted.parser} was asked and takes it.{told} Nothing was built, and no answer was compared."
    where = f"{worst.where}: " if worst.where else ""
    more = f"; {len(linted.findings) - 1} more: `edgebench lint`" if len(linted.findings) > 1 else ""
    did = "refuses it" if linted.status == "refused" else "takes it, but answers will be wrong"
    return f"{linted.parser} was asked and {did}: {where}{worst.reason} (fix: {worst.fix}{more}).{told}"


def _asked(asked: ToLint, time_limit_s: float, tell: Callable[[str], None]) -> Linted:
    memory_mib = int(psutil.virtual_memory().total * 0.9 / 2**20)
    with replacing.scratch() as exchange:
        asked_file, answer_file = Path(exchange, "asked.json"), Path(exchange, "answer.json")
        jsonio.write(asked_file, asked)
        command = [sys.executable, "-m", "edgebench.linting.asking", str(asked_file), str(answer_file)]
        ending = Child(command).wait(time_limit_s=time_limit_s, memory_limit_mib=memory_mib, on_phase=tell)
        try:
            answer = jsonio.read(Linted, answer_file)
        except BadFile:
            answer = Linted(model=asked.source, target=asked.target, status="ended")
    if answer.status != "ended":
        return answer
    limit = f" (limit {time_limit_s:g} s)" if ending.cause == "timeout" else ""
    reason = f"the process that asked the parser {ending.how}{limit}: {ending.last_line}"
    fix = "a larger --time-limit" if limit else "export the model again; the parser of another version may refuse it"
    return replace(answer, reason=reason, fix=fix)


def _format(path: Path) -> str:
    """The format of a model file, by the end of its name."""
    if not path.exists():
        raise missing(path)
    if not path.is_file():
        raise BadFile(f"{path} is no regular file", "name a model file, or the folder of an artifact")
    kinds = {
        suffix: format
        for stated in registry.all_facts("linters").values()
        for format, suffix in stated.suffixes.items()
    }
    if path.suffix.lower() not in kinds:
        raise BadFile(f"{path} is no model file that a parser reads", f"name one of {', '.join(sorted(kinds))}")
    return kinds[path.suffix.lower()]
