"""From a checkpoint to a verified artifact: chains the exporters, keeps nothing that does not answer as torch does."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgebench import artifact as folder
from edgebench import evaluate, registry
from edgebench.answers import Parity
from edgebench.engines import local
from edgebench.errors import BadFile, EdgebenchError, Unsupported, VerificationFailed
from edgebench.jobs import Job
from edgebench.specs import Artifact, ExportOptions
from edgebench.workspace import Workspace, now

PORTABLE = "onnx"  # the format that any machine can finish from

Told = Callable[[str], None]


@dataclass(frozen=True)
class Export:
    """A verified artifact, and how well it was found to agree with torch."""

    artifact: Artifact
    parity: Parity


class Unfinished(Unsupported):
    """The target cannot be built on this machine; `portable` is the artifact from which the right machine can."""

    def __init__(self, cause: Unsupported, target: str, portable: Artifact) -> None:
        super().__init__(
            f"the {target} artifact cannot be built here: {cause.message}. What is portable is ready and verified: "
            f"{portable.path}. Copy that folder to the board that will run it, and finish there with "
            f"`edgebench export {portable.path.name} --target {target}`; it needs neither torch nor this checkpoint",
            cause.fix,
        )
        self.portable = portable


def export(
    source: Artifact,
    target: str,
    workspace: Workspace,
    *,
    out: Path | None = None,
    max_batch: int = 32,
    extra: dict[str, str] | None = None,
    tell: Told = lambda stage: None,
) -> Export:
    """Export `source` to `target`, through the formats between, and verify each artifact on its own runtime.

    `max_batch` and `extra` are for the target's own exporter. The artifact lies in `out`, by default in the workspace
    under a name that tells model, checkpoint and target. Raises VerificationFailed, and leaves nothing behind, if an
    answer differs; Unfinished if only another machine can build the target; Unsupported if a library is missing.
    """
    target = registry.canonical("exporters", target)
    try:
        exporter = registry.load("exporters", target)
        exporter.check()
    except Unsupported as cause:
        if target == PORTABLE:
            raise
        raise Unfinished(cause, target, _obtain(source, PORTABLE, workspace, tell)) from None
    if source.format == target:
        raise EdgebenchError(f"{source.path} is already {target}", "name another --target, or the checkpoint")
    source = _obtain(source, exporter.accepts, workspace, tell)
    options = ExportOptions(source.precision, max_batch, extra or {})
    return _make(exporter, source, target, out or workspace.artifacts / _name(source, target), options, tell)


def _make(exporter: Any, source: Artifact, target: str, out: Path, options: ExportOptions, tell: Told) -> Export:
    tell(f"exporting to {target}")
    with folder.staged(out) as scratch:
        made = exporter.export(source, scratch, options)
        if missing := [name for name in made.files if not (scratch / name).is_file()]:
            raise EdgebenchError(f"the {target} exporter did not write {missing[0]}", "report it to its author")
        shutil.copy(folder.file_in(source, folder.REFERENCE), scratch)
        artifact = replace(
            source,
            format=target,
            precision=made.precision,
            inputs=made.inputs,
            outputs=made.outputs,
            tools=source.tools | made.tools,
            created=now(),
            source=source.identity,
            origin=source.origin or source.identity,
        )
        artifact = folder.write_manifest(scratch, artifact)
        tell(f"verifying {target} on {exporter.verify_with}")
        parity = _verify(artifact, exporter)
    return Export(folder.read(out), parity)


def _verify(artifact: Artifact, exporter: Any) -> Parity:
    job = Job(
        artifact.identity, exporter.verify_with, device="", compute=exporter.verify_on,
        scenario="verify", precision=artifact.precision,
    )  # fmt: skip
    result = local.run_job(job, artifact)
    if result.status == "ok" and result.parity is not None:
        return result.parity
    what = f"the {artifact.format} artifact was not kept: {exporter.verify_with}"
    if result.parity is not None:
        raise VerificationFailed(
            f"{what} does not answer as torch does ({evaluate.explain(result.parity)})",
            "another version of the exporter's libraries, or another backbone; please report the model's name",
        )
    if result.status == "unsupported":
        raise Unsupported(f"{what}, which has to open and verify it, cannot: {result.message}")
    raise VerificationFailed(f"{what} did not open it ({result.status}: {result.message})", "see the message above")


def _obtain(source: Artifact, format: str, workspace: Workspace, tell: Told) -> Artifact:
    """`source` in this format: itself, what an earlier export made of it if that is still whole, or a new export."""
    if source.format == format:
        return source
    with contextlib.suppress(BadFile):
        found = folder.read(workspace.artifacts / _name(source, format))
        if found.source == source.identity:
            return found
    return export(source, format, workspace, tell=tell).artifact


def _name(source: Artifact, target: str) -> str:
    training, origin = source.training.config, source.origin or source.identity
    return f"{_plain(training.model)}-{training.dataset}-{origin[:8]}-{target}"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name).lstrip(".")
