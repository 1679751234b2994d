"""Exports a checkpoint or artifact through the formats between, and keeps the result if its answers are right."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgebench import artifact as folder
from edgebench.errors import BadFile, EdgebenchError, Unsupported, UsageError, VerificationFailed
from edgebench.exporting import beside, building, calibrating, deployable
from edgebench.exporting.calibrating import CalibrationInputs, Request
from edgebench.exporting.unfinished import UnfinishedExport
from edgebench.linting import lint
from edgebench.machine import registry
from edgebench.machine.device import detect
from edgebench.machine.profiles import load_profile
from edgebench.measuring import agreement, process
from edgebench.records import adopted
from edgebench.records.adopted import STORED, plain
from edgebench.records.answers import Judgement, Parity
from edgebench.records.batches import only_batch
from edgebench.records.jobs import Job
from edgebench.records.result import Result
from edgebench.records.workspace import Workspace, now
from edgebench.specs import Artifact, Calibration, ExportOptions, InputType, Precision
from edgebench.training.requirements import require_training_libraries

JUDGING_LIMIT_S = 3600.0
LARGEST = 8  # artifacts are verified at batch 1, 3 and this one, which every TensorRT plan takes; or at the only one

Told = Callable[[str], None]


@dataclass(frozen=True)
class PlannedExport:
    """A verified artifact, and how closely it agrees with torch, or of an adopted model with its reference. An artifact
    that was built and not run (`unrun`) has no parity."""

    artifact: Artifact
    parity: Parity | None


def export(
    source: Artifact,
    target: str,
    workspace: Workspace,
    *,
    precision: Precision | None = None,
    input: InputType | None = None,
    accuracy_drop: float | None = None,
    calibration: Callable[[], Calibration | CalibrationInputs] | None = None,
    out: Path | None = None,
    max_batch: int = 32,
    device: str | None = None,
    extra: dict[str, str] | None = None,
    compare: bool = False,
    tell: Told = lambda stage: None,
) -> PlannedExport:
    """Export `source` to `target`, through the formats between, and verify each artifact on its own runtime.

    `precision` and `input` default to the source's; int8 asks `calibration` for its images or, of an adopted model,
    its requests.
    `max_batch` and `extra` go to the target's exporter, as the architecture of the `device`'s GPU, by default of this
    machine's profile. With `compare`, a lower precision is timed beside fp32. The artifact is written to `out`, by
    default to the workspace under a name made of model, dataset, checkpoint, target and precision; of an adopted model,
    of its name and the settings it was adopted with. Raises VerificationFailed, and leaves nothing behind, if an answer
    differs by more than the precision may cost; UnfinishedExport if only another machine can build the target;
    Unsupported if a library is missing.
    """
    target, precision = registry.canonical("exporters", target), precision or source.precision
    input = input or source.input_type
    _check_adopted(source, precision, input)
    if accuracy_drop is not None and not 0 < accuracy_drop < 1:
        raise UsageError(f"--accuracy-drop is {accuracy_drop:g}", "give a share such as 0.01")
    calibrating.refuse_accuracy_drop(source, accuracy_drop)
    given = {"accuracy_drop": accuracy_drop, "calibration": calibration, "tell": tell}
    obtain = partial(_obtain, source, workspace=workspace, given=given)
    accepts = registry.load_object("exporters", target).accepts
    if precision not in accepts:
        raise UsageError(f"{target} artifacts cannot be made in {precision}", f"--precision {', '.join(accepts)}")
    if input not in (able := registry.facts("exporters", target).inputs):
        raise UsageError(f"{target} artifacts do not take {input}", f"--input {' or '.join(able)}")
    try:
        exporter = registry.load("exporters", target)
        exporter.check(precision)
    except Unsupported as cause:
        start, kind = accepts[precision]
        if start in ("checkpoint", target) or kind != precision:  # nothing that another machine could finish from
            raise
        portable = obtain(start, kind, input)
        tell(f"asking the parser of {target}")
        linted = lint.lint(portable, [target])[0] if target in registry.names("linters") else None
        raise UnfinishedExport(cause, target, portable, linted) from None
    if (source.format, source.precision, source.input_type) == (target, precision, input):
        other = "--precision" if source.adopted else "the checkpoint"
        raise EdgebenchError(f"{source.path} is already {target}", f"name another --target, or {other}")
    start, kind = accepts[precision]
    also = registry.facts("exporters", target).also
    if not source.origin and source.format in (start, also.get(start)) and source.precision in (kind, precision):
        pass  # as it was trained or adopted: there is nothing before it
    elif exporter.bakes_input and input != source.input_type:  # a separate step, on an artifact that takes floats
        source = obtain(target, precision, source.input_type)
    else:
        source = obtain(start, kind, input)
    found = calibration() if calibration and precision == "int8" and source.precision != "int8" else None
    requests = found if isinstance(found, CalibrationInputs) else None
    options = ExportOptions(
        precision=precision,
        input=input,
        max_batch=max_batch,
        calibration=None if requests else found,
        accuracy_drop=accuracy_drop,
        architecture=(load_profile(device) if device else detect()).gpu.compute_capability or "",
        extra=extra or {},
    )
    out = out or workspace.artifacts / folder_name(source, target, precision, input)
    images = _images(source, workspace, tell) if precision != "fp32" else None
    return _make(exporter, source, target, out, options, tell, requests, images, compare and precision != "fp32")


def _images(source: Artifact, workspace: Workspace, tell: Told) -> Path | None:
    """The file of images by which a lower precision is judged; None where the checkpoint or its dataset is not."""
    found = deployable.judging_images(
        None, source, workspace, lambda done, total: tell(f"torch answers the validation pictures: {done}/{total}")
    )
    try:
        return found() if found else None
    except (EdgebenchError, OSError):  # the dataset is gone or has changed
        return None


def _check_adopted(source: Artifact, precision: Precision, input: InputType) -> None:
    """Raise Unsupported for what cannot be made of an adopted model."""
    if (known := source.adopted) is None:
        return
    if known.quantized and precision != source.precision:
        quantized = f"is quantized already ({known.quantized}, {source.precision})"
        how = f"has its {STORED[known.quantized]} already" if known.quantized in STORED else quantized
        raise Unsupported(
            f"{source.path} {how}: it is not made {precision}",
            f"adopt the file that it was made from; or leave out --precision, to keep {source.precision}",
        )
    if input != source.input_type:
        raise Unsupported(
            f"{source.path} was adopted with its inputs as they are, and --input {input} would change them",
            "leave out --input",
        )


def calibration(
    source: Artifact, workspace: Workspace, count: int, given: Callable[[], Sequence[Request]] = tuple
) -> Calibration | CalibrationInputs:
    """What int8 is calibrated on: `count` training images of the checkpoint that `source` was made from; of an adopted
    model the `given` inputs, by default its own."""
    if source.adopted:
        return calibrating.inputs(source, workspace.head(source), given())
    origin = source if source.format == "checkpoint" else workspace.checkpoint_of(source)
    require_training_libraries()
    from edgebench.training import checkpoint

    return checkpoint.calibration(origin, count, lambda done, total: None)


def _make(
    exporter: Any, source: Artifact, target: str, out: Path, options: ExportOptions, tell: Told,
    requests: CalibrationInputs | None, images: Path | None, compare: bool,
) -> PlannedExport:  # fmt: skip
    tell(f"exporting to {target}")
    with folder.staged(out) as scratch:
        made = building.build(exporter, target, source, scratch, options, tell, requests)
        if missing := [name for name in made.files if not (scratch / name).is_file()]:
            raise EdgebenchError(
                f"the {target} exporter did not write {missing[0]}", "report it to the exporter's author"
            )
        if not (scratch / folder.REFERENCE).is_file():
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
            in_float=made.in_float or source.in_float,
            judged=None,
            beside_fp32=source.beside_fp32 if (source.precision, source.format) == (made.precision, target) else (),
            unrun=building.unrun(exporter),
        )
        artifact = folder.write_manifest(scratch, calibrating.adopted(artifact, requests) if requests else artifact)
        if artifact.unrun:
            parity = None
        else:
            tell(f"verifying {target} on {exporter.verify_with}")
            result = _verify(artifact, exporter, images, tell)
            artifact, parity = replace(artifact, judged=_judged(artifact, result, options.accuracy_drop)), result.parity
            folder.write_manifest(scratch, artifact, artifact.files)
    artifact = folder.read(out)
    if compare and source.precision == "fp32" and not artifact.unrun:  # after it is kept: this may have to wait
        artifact = folder.write_manifest(
            out, replace(artifact, beside_fp32=beside.measure(artifact, source, tell)), artifact.files
        )
    return PlannedExport(artifact, parity)


def _judged(artifact: Artifact, result: Result, bound: float | None) -> Judgement | None:
    """What the precision costs, if that was counted. Raises VerificationFailed if it is too much."""
    if result.evaluation is None:
        return None
    try:
        bound = deployable.BOUND if bound is None else bound
        return deployable.judge(result.evaluation, result.job.runtime, bound, artifact.precision)
    except VerificationFailed as error:
        what = f"the {artifact.format} artifact was not kept: in {artifact.precision} {error.message}"
        raise VerificationFailed(what, error.fix) from None


def _verify(artifact: Artifact, exporter: Any, images: Path | None, tell: Told) -> Result:
    """Open it and compare its answers with the reference's and, given `images`, with their labels."""
    job = Job(
        artifact=artifact.identity, runtime=exporter.verify_with, device="", compute=exporter.verify_on,
        scenario="verify", precision=artifact.precision,
        batch=only_batch(artifact) or LARGEST,
        time_limit_s=JUDGING_LIMIT_S if images else Job.time_limit_s,
    )  # fmt: skip
    result = process.run_job(job, artifact, images=images, on_phase=lambda phase: tell(f"{artifact.format}: {phase}"))
    if result.status == "ok" and result.parity is not None:
        return result
    what = f"the {artifact.format} artifact was not kept: {exporter.verify_with}"
    if result.parity is not None:
        known = artifact.adopted
        whose = f"as {known.file} on {known.reference} does" if known else "as torch does"
        fix = "try another version of the exporter's libraries, or another backbone"
        if known:
            fix = "another --target, or measure the model as it was adopted"
        if known and artifact.precision != "fp32":
            fix = f"--precision fp32; or keep {artifact.precision} for another --target"
        raise VerificationFailed(
            f"{what} does not answer {whose} ({agreement.explain(result.parity)})",
            fix,
        )
    if result.status == "unsupported":
        raise Unsupported(f"{what} has to open and verify it, but cannot: {result.message}")
    raise VerificationFailed(f"{what} did not open it ({result.status}: {result.message})", "see the message above")


def _obtain(
    source: Artifact, format: str, precision: Precision, input: InputType, *, workspace: Workspace,
    given: dict[str, Any],
) -> Artifact:  # fmt: skip
    """`source` in this format and precision, with this input: itself, the artifact of an earlier export if that is
    still whole, or a new export."""
    if (source.format, source.precision, source.input_type) == (format, precision, input):
        return source
    if format == "checkpoint" and not source.adopted:
        raise EdgebenchError(f"the checkpoint of {source.path} cannot be made from it", "name the checkpoint itself")
    if source.input_type == "uint8" != input:
        raise EdgebenchError(
            f"{source.path} normalises inside its graph, which cannot be undone", "name the checkpoint"
        )
    if source.precision != "fp32":
        raise EdgebenchError(
            f"{source.path} is {source.precision}: the digits that were rounded away cannot be restored",
            f"adopt a file of the model in {precision}"
            if source.adopted
            else f"name the checkpoint, or the {format} artifact in {precision}",
        )
    with contextlib.suppress(BadFile):
        found = folder.read(workspace.artifacts / folder_name(source, format, precision, input))
        # The bound of an earlier int8 export is not known, nor on what it was calibrated.
        bounded = precision == "int8" and (source.adopted or given["accuracy_drop"] is not None)
        if (found.origin or found.identity) == (source.origin or source.identity) and not bounded:
            return found
    if format == "checkpoint":  # where all chains begin that do not begin with a file
        raise Unsupported(
            f"{source.path} is {source.format}, from which edgebench makes no other format",
            "name the artifact that it was exported from, or adopt the model's ONNX file",
        )
    return export(source, format, workspace, precision=precision, input=input, **given).artifact


def folder_name(source: Artifact, target: str, precision: Precision, input: InputType) -> str:
    """The artifact's name in the workspace: model, dataset, checkpoint, target, and an unusual precision or input."""
    if source.adopted:
        changed = [precision] * (precision != "fp32")
        return adopted.folder_name(source.model.name, source.adopted.settings, target, *changed)
    training, origin = source.training, source.origin or source.identity
    model = training.config.model.rpartition("/")[2]  # without the folder of a user's own file
    parts = [plain(model), plain(training.data.dataset), origin[:8], target]
    parts += [precision] * (precision != "fp32") + [input] * (input != "float32")
    return "-".join(parts)
