"""`edgebench export`: a checkpoint or artifact to another format, verified."""

from __future__ import annotations

import typing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.commands import _adopting, _next, _options, _progress
from edgebench.errors import UsageError
from edgebench.records.export_settings import ExportSettings
from edgebench.specs import InputType, Precision

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace


def _any_batch(ctx: click.Context, parameter: click.Parameter, given: str | None) -> None:
    """Refuse `--batch`, for which `--max-batch` would be offered, which says something else."""
    if given is not None:
        raise UsageError(
            "an export has no --batch: it takes requests of any size",
            f"leave it out, and measure with `edgebench run --batch {given}`; of a TensorRT engine, the largest is "
            "--max-batch",
        )


@click.command(
    epilog="""\b
Examples:
  edgebench export --target onnx
  edgebench export runs/checkpoints/NAME --target openvino --target onnx
  edgebench export --target onnx --target openvino --precision int8 --accuracy-drop 0.01
  edgebench export NAME-onnx --target trt        (on the board: needs neither torch nor the checkpoint)"""
)
@click.argument("source", metavar="[CHECKPOINT]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--target", "targets", multiple=True, required=True, metavar="onnx|openvino|trt|rtx",
    shell_complete=_options.complete_targets, help="Format to export to; may be given several times.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(typing.get_args(Precision)),
    help="Number format of weights and activations.  [default: as the source]",
)  # fmt: skip
@click.option(
    "--input", "input_type", type=click.Choice(typing.get_args(InputType)),
    help="uint8: a camera's bytes go straight in, (batch, h, w, 3); the graph normalises.  [default: as the source]",
)  # fmt: skip
@_options.settings(
    ExportSettings, calibration_images={"type": click.IntRange(1)}, max_batch={"type": click.IntRange(1)}
)
@click.option(
    "--calibration", multiple=True, metavar="FILE.npz|FOLDER", type=click.Path(path_type=Path),
    help="int8 of an adopted model: inputs of your own, .npz files or pictures, that tell the ranges; may be given "
    "several times.  [default: those that it was adopted with]",
)  # fmt: skip
@click.option(
    "--device", metavar="NAME|FILE.toml", shell_complete=_options.complete_devices,
    help="Whose GPU a target is built for that can be built elsewhere.  [default: this machine]",
)  # fmt: skip
@click.option(
    "--exporter-option",
    "extra",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_options.pairs,
    help="Passed to the target's exporter.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the artifact (with one --target)."
)
@click.option("--batch", hidden=True, expose_value=False, callback=_any_batch, help="Refused.")
@_options.workspace
@_options.as_json
def command(
    source: Path | None,
    targets: tuple[str, ...],
    precision: Precision | None,
    input_type: InputType | None,
    accuracy_drop: float | None,
    calibration_images: int,
    calibration: tuple[Path, ...],
    max_batch: int,
    device: str | None,
    extra: dict[str, str],
    out: Path | None,
    workspace: Workspace,
    as_json: bool,
) -> None:
    """Export a checkpoint or model (the newest) and prove that the artifact still gives the right answers.

    Each artifact is opened by its own runtime and compared with torch on held-out images, at batch sizes 1, 3 and 8.
    One that differs by more than its precision allows is an error, and is not kept. Exports chain: openvino and trt
    are made from the ONNX artifact. int8 is calibrated on training images, so it needs the dataset. It is refused if it
    loses more than --accuracy-drop of the validation images against torch.
    """
    from rich.console import Console

    from edgebench.adopting import inputs
    from edgebench.exporting import deployable, pipeline
    from edgebench.machine import registry
    from edgebench.measuring import agreement
    from edgebench.records import jsonio
    from edgebench.records.terminal import printable

    names = list(dict.fromkeys(registry.canonical("exporters", target) for target in targets))
    if out and len(names) > 1:
        raise UsageError("--out names one folder, but there are several targets", "one --target, or no --out")
    console, made = Console(stderr=True), []
    if calibration and precision != "int8":
        raise UsageError("--calibration is for int8", "--precision int8")
    start = _adopting.read([source], workspace, console)[0] if source else workspace.newest_source()
    for name in names:
        with console.status(f"exporting {start.path.name} to {name}") as status:
            done = pipeline.export(
                start, name, workspace, precision=precision, input=input_type, accuracy_drop=accuracy_drop,
                calibration=partial(
                    pipeline.calibration, start, workspace, calibration_images,
                    partial(inputs.calibration, calibration, start, calibration_images),
                ), out=out,
                max_batch=max_batch, device=device, extra=extra, compare=True,
                tell=_progress.tells(console, status.update),
            )  # fmt: skip
        made.append({"path": str(done.artifact.path), "parity": done.parity, "artifact": done.artifact})
        if not as_json:
            click.echo(f"{name}: {done.artifact.path} ({done.artifact.size_bytes / 2**20:.1f} MiB)")
            if why := done.artifact.unrun:
                click.echo(printable(f"  built, not run: {why}. `edgebench run` on the device compares its answers"))
            else:
                click.echo(f"  verified: {printable(agreement.explain(done.parity))}")
            if judged := done.artifact.judged:
                click.echo(f"  judged: it {printable(deployable.explain(judged))}")
            elif done.artifact.precision != "fp32" and not done.artifact.unrun:
                click.echo("  not judged: no labelled pictures are here; `edgebench evaluate --images` counts them")
            for beside in done.artifact.beside_fp32:
                click.echo(f"  {'SLOWER: ' * beside.slower}{beside.told}")
            if known := done.artifact.adopted and done.artifact.adopted.calibrated:
                apart = (
                    "others"
                    if done.artifact.adopted.held_out
                    else ("the same, since there are no others: give more of them")
                )
                click.echo(f"  calibrated on {known} requests, verified on {apart}")
            if left := done.artifact.in_float:
                click.echo(f"  left in floating point: {len(left)} layers: {printable(', '.join(left))}")
    if as_json:
        click.echo(jsonio.dumps(made, indent=1))
    else:
        _next.tell("run")
