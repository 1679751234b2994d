"""Adopts models and exports adopted ones in the tests' own process: processes of their own take seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebench import artifact as folder
from edgebench.adopting import adopt as adopting
from edgebench.adopting import opening
from edgebench.adopting.asked import Adoption
from edgebench.exporting import building, pipeline
from edgebench.measuring import worker
from edgebench.records import jsonio
from edgebench.records.adopted import folder_name
from edgebench.records.jobs import Job
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact

SETTINGS = "0" * 8


def adopted(file: Path, root: Path, **asked: Any) -> tuple[Artifact, Workspace]:
    """The artifact of a file, in its place in the workspace `root`."""
    workspace, (runtime, format) = Workspace(root), adopting.adopter(file)
    out = workspace.artifacts / folder_name(file.stem, SETTINGS, format)
    out.mkdir(parents=True)
    given = {"name": file.stem} | asked
    made = opening.adopt(Adoption(file=str(file), format=format, runtime=runtime, **given), out)
    folder.write_manifest(out, replace(made, adopted=replace(made.adopted, settings=SETTINGS)))
    return folder.read(out), workspace


def exports_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporters and verifications take no processes of their own."""

    def run(asked: building.Build, out: Path, exchange: Path, tell: Any) -> building.BuildAnswer:
        jsonio.write(exchange / "asked.json", asked)
        return building.perform(jsonio.read(building.Build, exchange / "asked.json"), out)

    monkeypatch.setattr(building, "_in_child", run)

    def verified(job: Job, artifact: Artifact, *, on_phase: Any, **given: Any) -> Result:
        return worker.run_job(job, artifact, tell=on_phase, **given)

    monkeypatch.setattr(pipeline.process, "run_job", verified)
