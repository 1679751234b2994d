"""`python -m edgebench.exporting.building ASKED.json FOLDER ANSWER.json`: an exporter at work on an adopted model.

A library may crash on a file that nobody here has seen, or take all memory. The process that asks does neither.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from edgebench import artifact as folder
from edgebench.errors import BadFile, EdgebenchError, OutOfMemory, Unsupported, UsageError
from edgebench.exporting import calibrating
from edgebench.exporting.calibrating import CalibrationInputs
from edgebench.machine import registry
from edgebench.machine.children import Child, end_with_parent
from edgebench.records import jsonio, replacing
from edgebench.specs import Artifact, Exported, ExportOptions, Precision

LIMIT_S = 3600.0
KINDS = {kind.__name__: kind for kind in (Unsupported, UsageError, BadFile, OutOfMemory)}  # that cross the border


@dataclass(frozen=True, kw_only=True)
class Build:
    """What an exporter is asked to make of the artifact in a folder; the rest is as in ExportOptions.

    For int8: the files of the requests for `calibration` and of those that are `held_out`, which the artifact in `head`
    answers; these become the requests of the product.
    """

    target: str
    source: str
    precision: Precision
    max_batch: int
    architecture: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    calibration: str = ""
    held_out: str = ""
    head: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildAnswer:
    """What was made, whose files lie in the folder; or what is wrong, how to fix it, and which error it is."""

    exported: Exported | None = None
    error: str = ""
    fix: str = ""
    kind: str = ""


def build(
    exporter: Any, target: str, source: Artifact, out: Path, options: ExportOptions,
    tell: Callable[[str], None] = lambda stage: None, calibration: CalibrationInputs | None = None,
) -> Exported:  # fmt: skip
    """Let the exporter write its product into `out`; for a model from elsewhere in a process of its own, with the
    requests for `calibration` if there are any."""
    if not source.adopted:
        return exporter.export(source, out, options)
    asked = Build(
        target=target, source=str(source.path.resolve()), precision=options.precision, max_batch=options.max_batch,
        architecture=options.architecture, extra=options.extra,
    )  # fmt: skip
    with replacing.scratch() as exchange:
        if calibration:
            kept = {"calibration": calibration.requests, "held_out": calibration.held_out}
            files = {name: str(Path(exchange, f"{name}.npz")) for name, requests in kept.items() if requests}
            for name, file in files.items():
                calibrating.write(Path(file), source, kept[name])
            asked = replace(asked, **files, head=str(calibration.head.path.resolve()))
        answer = _in_child(asked, out, Path(exchange), tell)
    if answer.exported is None:
        raise KINDS.get(answer.kind, EdgebenchError)(answer.error, answer.fix)
    return answer.exported


def unrun(exporter: Any) -> str:
    """Why nothing here runs what it makes; empty if it can be run, as of every exporter that says nothing else."""
    return exporter.unrun() if hasattr(exporter, "unrun") else ""


def _in_child(asked: Build, out: Path, exchange: Path, tell: Callable[[str], None]) -> BuildAnswer:
    asked_file, answer_file = exchange / "asked.json", exchange / "answer.json"
    jsonio.write(asked_file, asked)
    memory_mib = int(psutil.virtual_memory().total * 0.9 / 2**20)
    command = [sys.executable, "-m", "edgebench.exporting.building", *map(str, (asked_file, out, answer_file))]
    ending = Child(command).wait(time_limit_s=LIMIT_S, memory_limit_mib=memory_mib, on_phase=tell)
    try:
        return jsonio.read(BuildAnswer, answer_file)
    except BadFile:
        how = f"the process that did it {ending.how} ({ending.last_line})"
    kind = OutOfMemory if ending.cause == "out_of_memory" else Unsupported
    fix = "another version of the exporter's library, or another --target"
    raise kind(f"{Path(asked.source).name} was not exported to {asked.target}: {how}", fix)


def perform(asked: Build, out: Path) -> BuildAnswer:
    """Export in this process. A foreseen failure is an answer too."""
    try:
        source = folder.read(Path(asked.source))
        requests = calibrating.read(Path(asked.calibration), source) if asked.calibration else ()
        options = ExportOptions(
            precision=asked.precision, input=source.input_type, max_batch=asked.max_batch,
            architecture=asked.architecture, extra=asked.extra, requests=requests,
        )  # fmt: skip
        exported = registry.load("exporters", asked.target).export(source, out, options)
        if asked.held_out:
            held = calibrating.read(Path(asked.held_out), source)
            answers = calibrating.answers(folder.read(Path(asked.head)), held)
            folder.write_examples(out, source, folder.Examples(tuple(map(dict, held)), tuple(answers)))
        return BuildAnswer(exported=exported)
    except EdgebenchError as error:
        return BuildAnswer(error=error.message, fix=error.fix, kind=type(error).__name__)
    except MemoryError:
        error, fix = "the export needs more memory than there is", "close other programs, or take a smaller model"
        return BuildAnswer(error=error, fix=fix, kind="OutOfMemory")


def main(arguments: list[str]) -> None:
    end_with_parent()
    asked_file, out, answer_file = map(Path, arguments)
    jsonio.write(answer_file, perform(jsonio.read(Build, asked_file), out))


if __name__ == "__main__":
    main(sys.argv[1:])
