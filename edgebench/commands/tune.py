"""`edgebench tune`: the best runtime, precision and numbers of threads for an artifact on a device."""

from __future__ import annotations

import shlex
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.commands import _adopting, _next, _options
from edgebench.measuring.options import RunOptions
from edgebench.specs import Precision

if TYPE_CHECKING:
    from edgebench.choosing.tuned import Goal, Trial, Tuned
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench tune                                the newest checkpoint, exported to all that runs here
  edgebench tune runs/checkpoints/NAME --for throughput
  edgebench tune NAME-onnx --precision int8 --accuracy-drop 0.005
  edgebench tune detector.onnx --calibration requests/     a model from elsewhere; int8 by your own inputs
  edgebench run --tuned                         measure what was found"""
)
@click.argument("path", metavar="[ARTIFACT]", required=False, type=click.Path(path_type=Path))
@click.option("--device", metavar="PROFILE", shell_complete=_options.complete_devices, help="Device profile.")
@click.option(
    "--for", "goal", type=click.Choice(["latency", "throughput"]), default="latency", show_default=True,
    help="The lowest latency at batch 1, or the most images a second at any batch.",
)  # fmt: skip
@click.option(
    "--precision", "precisions", multiple=True, type=click.Choice(typing.get_args(Precision)),
    help="Consider this precision; may be given several times.  [default: fp32, int8, bf16]",
)  # fmt: skip
@click.option(
    "--accuracy-drop", type=float, default=0.01, show_default=True, metavar="SHARE",
    help="The share of the validation images that a lower precision may lose.",
)  # fmt: skip
@_options.settings(
    RunOptions, only=("runtimes", "compute", "duration_s"),
    runtimes={"help": "Only this runtime; may be given several times.  [default: all that work here]"},
    duration_s={
        "default": 3.0,
        "help": "Seconds of measuring in the last round; the first, with all settings, takes a tenth of that. A race "
        "(latency on the CPU) takes up to 20 times as long in all, twice that until it can decide.",
    },
)  # fmt: skip
@click.option("--no-export", is_flag=True, help="Consider only what is exported already.")
@click.option(
    "--images", type=click.Path(dir_okay=False, path_type=Path),
    help="Judge by these images, made by `edgebench evaluate --save-images`.  [default: the validation split]",
)  # fmt: skip
@click.option(
    "--calibration", multiple=True, metavar="FILE.npz|FOLDER", type=click.Path(path_type=Path),
    help="int8 of an adopted model: inputs of your own, as of `edgebench export`; may be given several times.",
)  # fmt: skip
@_options.workspace
@_options.as_json
def command(
    path: Path | None, device: str | None, goal: Goal, precisions: tuple[Precision, ...], accuracy_drop: float,
    runtimes: tuple[str, ...], compute: str | None, duration_s: float, no_export: bool, images: Path | None,
    calibration: tuple[Path, ...], workspace: Workspace, as_json: bool,
) -> None:  # fmt: skip
    """Find the fastest setting of a network on a device: runtime, precision, threads; for throughput batch and requests
    in flight too.

    Exports what is missing, drops what loses too much accuracy, then races the settings; where they cannot race, it
    measures every setting briefly and the better ones for longer. The best setting is kept in the workspace, and
    `edgebench run --tuned` measures it.
    """
    from rich.console import Console

    from edgebench.choosing import tuning
    from edgebench.commands._progress import Phases
    from edgebench.machine import stated
    from edgebench.machine.locks import waiting
    from edgebench.records import jsonio
    from edgebench.records.missing import missing

    console = Console(stderr=True)
    stated.check(runtimes, compute, device=device)
    for given in calibration:
        if not given.exists():
            raise missing(given)
    start = _adopting.read([path], workspace, console)[0] if path else workspace.newest_source()
    try:
        with Phases(console) as status:
            found = tuning.tune(
                start, workspace, device=device, goal=goal, precisions=precisions, accuracy_drop=accuracy_drop,
                runtimes=runtimes, compute=compute, duration_s=duration_s, export=not no_export, images=images,
                calibration=calibration,
                on_phase=status.update,
                on_wait=lambda: status.update(waiting(), now=True),
                on_left_out=lambda said: console.print(said, highlight=False, markup=False, soft_wrap=True),
            )  # fmt: skip
    except KeyboardInterrupt:
        click.echo("Interrupted: nothing was measured yet, so nothing is kept.", err=True)
        sys.exit(130)  # as shells do after SIGINT
    if as_json:
        click.echo(jsonio.dumps(found, indent=1))
    else:
        _show(found)
        click.echo(f"kept: {workspace.tuned(start, found.device, goal)}")
        how = " --scenario throughput" if goal == "throughput" else ""
        _next.tell(f"run {shlex.quote(str(start.path))} --tuned{how}")
    if found.interrupted:
        click.echo("Interrupted: the best of what was measured so far is kept.", err=True)
        sys.exit(130)


def _show(found: Tuned) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgebench.records.terminal import printable
    from edgebench.report.formats import MISSING

    headings = ("artifact", "runtime", "precision", "thr.", "batch", "in flight", "median ms", "images/s", "lost", "")
    table = Table(*headings, header_style="bold", pad_edge=False)
    for trial in found.trials:
        cells = (
            trial.name, _runtime(trial), trial.precision, str(trial.threads or MISSING), str(trial.batch),
            str(trial.streams), f"{trial.median_ns / 1e6:.3f}" if trial.median_ns else MISSING,
            f"{trial.throughput_per_s:,.1f}" if trial.throughput_per_s else MISSING,
            MISSING if trial.accuracy_drop is None else f"{trial.accuracy_drop:.2%}",
            trial.message or _known(trial),
        )  # fmt: skip
        table.add_row(*(escape(printable(cell)) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    if any(trial.standing == "undecided" for trial in found.trials):
        click.echo("the time was up before every setting's place was certain: raise --duration to be surer")
    click.echo(f"best for {found.goal} on {found.device} ({found.evidence}): {_words(found.best)}")
    for name, other in (
        ("PyTorch eager fp32", found.eager),
        (f"the best runtime with its defaults, {found.default.precision if found.default else ''}", found.default),
    ):
        if other:
            click.echo(f"  {found.speedup(other):.2f} × as fast as {name}: {_words(other)}")


def _runtime(trial: Trial) -> str:
    return ", ".join([trial.runtime, *(f"{name}={value}" for name, value in trial.options.items())])


def _known(trial: Trial) -> str:
    if trial.standing in ("", "fastest"):
        return "the fastest" if trial.standing else f"round {trial.rounds}"
    if trial.low is None:
        return f"{trial.ratio:.2f} × as slow, by a single launch"
    doubt = {"tie": ", a tie", "undecided": ", not certain"}.get(trial.standing, "")
    return f"{trial.ratio:.2f} × ({trial.low:.2f} to {trial.high:.2f}) as slow{doubt}"


def _words(trial: Trial) -> str:
    figure = f"{trial.median_ns / 1e6:.3f} ms, {trial.throughput_per_s:,.1f} images/s"
    setting = f"{trial.threads} threads, batch {trial.batch}, {trial.streams} in flight"
    return f"{trial.name} on {_runtime(trial)} in {trial.precision}, {setting}: {figure}"
