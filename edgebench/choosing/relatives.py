"""Before a tuning: exports the artifacts that are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from edgebench.adopting import inputs
from edgebench.errors import EdgebenchError, Unsupported
from edgebench.exporting import building, pipeline
from edgebench.machine import registry
from edgebench.records.workspace import Workspace
from edgebench.specs import Artifact, Precision

CALIBRATION_IMAGES = 300


def export_missing(
    family: Sequence[Artifact], precisions: Sequence[Precision], workspace: Workspace, *,
    device: str | None = None, calibration: Sequence[Path] = (),
    on_phase: Callable[[str], None] = lambda phase: None, on_left_out: Callable[[str], None] = lambda sentence: None,
) -> list[Artifact]:  # fmt: skip
    """Export the family's checkpoint, or adopted model, to each format and precision that is missing and can be made
    here. Returns those.

    `device`: the profile that it is built for; `calibration`: the user's inputs for int8 of an adopted model.
    `on_left_out` is called with each export that failed, and why. Without the checkpoint nothing is exported.
    """
    head = next((f for f in family if not f.origin), None)
    if head is None:
        return []
    have = {(f.format, f.precision) for f in family if f.input_type == "float32"}
    made = []
    for target in registry.names("exporters"):
        try:
            exporter = registry.load("exporters", target)
        except Unsupported:
            continue  # `edgebench doctor` says why
        if building.unrun(exporter):  # it can build, but nothing here runs it
            continue
        able = exporter.accepts
        for precision in precisions:
            if precision not in able or (target, precision) in have or _is_quantized(head, precision):
                continue
            on_phase(f"exporting to {target} in {precision}")
            try:
                done = pipeline.export(
                    head, target, workspace, precision=precision, device=device,
                    calibration=partial(
                        pipeline.calibration, head, workspace, CALIBRATION_IMAGES,
                        partial(inputs.calibration, calibration, head, CALIBRATION_IMAGES),
                    ),
                    tell=lambda stage, precision=precision: on_phase(f"{stage} in {precision}"),
                )  # fmt: skip
            except EdgebenchError as error:
                on_left_out(f"left out: {target} in {precision}: {error.message}")
            else:
                made.append(done.artifact)
    return made


def _is_quantized(head: Artifact, precision: Precision) -> bool:
    """Whether the model came quantized, and so cannot be had in this precision."""
    return bool(head.adopted and head.adopted.quantized and precision != head.precision)
