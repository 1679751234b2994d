"""Adopts a file within the process of the test, and makes the job that verifies it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebench import artifact as folder
from edgebench.adopting import adopt as adopting
from edgebench.adopting import opening
from edgebench.adopting.asked import Adoption
from edgebench.records.jobs import Job
from edgebench.specs import Artifact


def adopted(file: Path, out: Path, **asked: Any) -> Artifact:
    """The artifact in `out`, made in this process."""
    runtime, format = adopting.adopter(file)
    out.mkdir(parents=True)
    asked = {"name": file.stem} | asked
    made = opening.adopt(Adoption(file=str(file), format=format, runtime=runtime, **asked), out)
    folder.write_manifest(out, made)
    return folder.read(out)


class OpenerHere:
    """Takes the place of `Opener`: it opens the model in the process of the test."""

    def made(self, asked: Adoption, out: Path, *given: Any, **more: Any) -> Artifact:
        return opening.adopt(asked, out)

    def __enter__(self) -> OpenerHere:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def job(made: Artifact, runtime: str, **asked: Any) -> Job:
    given = {"scenario": "verify", "batch": made.adopted.batch} | asked
    return Job(artifact=made.identity, runtime=runtime, device="cpu", compute="cpu", precision=made.precision, **given)
