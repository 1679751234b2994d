"""Makes artifacts by an exporter alone, without the command's checks: for tests of what the exporter writes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from edgebench import artifact
from edgebench.machine import registry
from edgebench.specs import Artifact, ExportOptions, Precision


def exported(target: str, source: Artifact, out: Path, precision: Precision = "fp32") -> Artifact:
    """What the exporter makes of `source`, in the new folder `out`, with the reference of the source."""
    out.mkdir(parents=True)
    made = registry.load("exporters", target).export(source, out, ExportOptions(precision=precision))
    shutil.copy(artifact.file_in(source, artifact.REFERENCE), out)
    described = replace(
        source, format=target, precision=made.precision, inputs=made.inputs, outputs=made.outputs, tools=made.tools,
        source=source.identity, origin=source.origin,
    )  # fmt: skip
    return artifact.read(artifact.write_manifest(out, described).path)
