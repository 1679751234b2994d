"""`edgebench crosscheck`: do the vendors' own tools agree with our figures on this artifact?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _adopting, _options, _progress
from edgebench.measuring.options import RunOptions

if TYPE_CHECKING:
    from edgebench.comparing.crosscheck import Agreement
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench crosscheck runs/artifacts/NAME-onnx
  edgebench crosscheck runs/artifacts/NAME-openvino --rival benchmark_app --rounds 15
  edgebench crosscheck model.onnx --runtime openvino --threads 1 --json"""
)
@click.argument("path", metavar="ARTIFACT", type=click.Path(path_type=Path))
@click.option(
    "--runtime", metavar="NAME", shell_complete=_options.complete_runtimes, help="[default: the format's own]"
)
@click.option(
    "--rival",
    "rivals",
    multiple=True,
    metavar="NAME",
    shell_complete=_options.complete_rivals,
    help="onnxruntime-loop, openvino-loop, litert-loop, benchmark_app, benchmark_app-throughput, perf_test, "
    "benchmark_litert_model, loadgen or trtexec; may be given several times.  [default: those that run this runtime]",
)
@_options.settings(
    RunOptions, only=("batch", "threads"),
    batch={"help": "Images a request.  [default: 1; of an adopted model, its own]"},
    threads={"help": "CPU threads of both sides.  [default: the physical cores]"},
)  # fmt: skip
@click.option(
    "--rounds", type=int, default=15, show_default=True, help="Rounds with a tool that can only make whole runs."
)
@_options.settings(RunOptions, only=("duration_s",), duration_s={"help": "Seconds of each whole run."})
@click.option(
    "--max-seconds",
    type=float,
    default=60.0,
    show_default=True,
    help="Seconds for a bare loop, whose bursts alternate with ours.",
)
@_options.workspace
@_options.as_json
def command(
    path: Path, rivals: tuple[str, ...], rounds: int, max_seconds: float, workspace: Workspace, as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Compare our figures with those of the vendors' own tools: same artifact, batch, threads and precision, in turns.

    Prints each figure, the ratio ours ÷ theirs and its 95 % interval. Exit code 1 if nothing could be compared.
    """
    from rich.console import Console

    from edgebench.comparing import crosscheck
    from edgebench.machine import stated
    from edgebench.records import jsonio

    stated.check([given["runtime"]] if given["runtime"] else [], given.get("compute"))
    crosscheck.check_rivals(rivals)
    console = Console(stderr=True)
    with console.status("reading the artifact") as status:
        (found,) = _adopting.read([path], workspace, console, status.update)
        made = crosscheck.crosscheck_artifact(
            found, rivals, rounds=rounds, max_seconds=max_seconds, tell=status.update,
            on_wait=_progress.says_it_waits(console, status.update), **given,
        )  # fmt: skip
    if as_json:
        click.echo(jsonio.dumps(made, indent=1))
    else:
        if any(agreement.ratio is not None for agreement in made):
            Console(width=None if sys.stdout.isatty() else 200).print(_table(made))
        for agreement in made:
            if agreement.reason:
                click.echo(f"{agreement.rival}: not compared: {agreement.reason}")
    if all(agreement.reason for agreement in made):
        sys.exit(1)


def _table(made: list[Agreement]) -> Any:
    from rich.table import Table

    table = Table(header_style="bold", pad_edge=False)
    for heading in ("rival", "figure"):
        table.add_column(heading)
    for heading in ("ours", "theirs", "ours ÷ theirs", "95 % interval", "fastest rounds", "rounds"):
        table.add_column(heading, justify="right")
    for one in made:
        if one.ratio is not None:
            name, ours, theirs = _shown(one)
            r = one.ratio
            interval = "–" if r.low is None else f"{r.low:.3f} to {r.high:.3f}"
            fastest = "–" if one.fastest_ratio is None else f"{one.fastest_ratio:.3f}"
            table.add_row(one.rival, name, ours, theirs, f"{r.ratio:.3f}", interval, fastest, str(one.rounds))
    return table


def _shown(one: Agreement) -> tuple[str, str, str]:
    name, divisor = (one.figure.replace("_ns", " ms"), 1e6) if one.figure.endswith("_ns") else ("images/s", 1)
    return name, f"{one.ours / divisor:,.4g}", f"{one.theirs / divisor:,.4g}"
