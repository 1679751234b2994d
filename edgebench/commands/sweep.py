"""`edgebench sweep`: reads a plan, has its whole matrix done, and shows the progress and how each cell ended."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _next, _options

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace
    from edgebench.sweeping.sweep import EngineName, ReadySweep

LISTS = {
    "models": "What --model of `edgebench train` takes.  [default: resnet_mini]",
    "subsets": "Labelled images: full, numbers or shares.  [default: full]",
    "seeds": "Seeds, a training for each.  [default: 0]",
    "targets": "Formats to export to; checkpoint: no export.  [default: onnx,openvino]",
    "precisions": "fp32, fp16, bf16, int8.  [default: fp32]",
    "runtimes": "What to measure on.  [default: each format's own]",
    "devices": "Device profiles.  [default: what this machine is]",
}


def _lists(function: Any) -> Any:
    """An option for each list of the matrix."""
    complete = {"targets": _options.complete_targets, "runtimes": _options.complete_runtimes}
    complete["devices"] = _options.complete_devices
    for name, text in reversed(LISTS.items()):
        function = click.option(f"--{name}", metavar="A,B", shell_complete=complete.get(name), help=text)(function)
    return function


@click.command(
    epilog="""\b
Examples:
  edgebench sweep plan.toml --dry-run
  edgebench sweep plan.toml
  edgebench sweep --models mobilenetv3,resnet50 --subsets 500,full --seeds 0,1 --precisions fp32,int8
  edgebench sweep --models deit_small --train dataset=cifar10 --train epochs=20 --run max_seconds=30"""
)
@click.argument("path", metavar="[PLAN.toml]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@_lists
@click.option("--train", "train", multiple=True, metavar="KEY=VALUE", help="A setting of the trainings: epochs=20.")
@click.option(
    "--export", "export", multiple=True, metavar="KEY=VALUE", help="A setting of the exports: accuracy_drop=0.01."
)
@click.option("--run", "run", multiple=True, metavar="KEY=VALUE", help="A setting of the measurements: max_seconds=30.")
@click.option(
    "--evaluate/--no-evaluate", default=None, help="Evaluate each artifact on the whole test split.  [default: yes]"
)
@click.option(
    "--race/--no-race", default=None,
    help="Measure what can race by turns, or one after another, as in `edgebench run`.  [default: race]",
)  # fmt: skip
@click.option(
    "--parallel", type=click.IntRange(1), metavar="N",
    help="How many trainings and exports at once.  [default: one a GPU; without a GPU, one a core, if memory allows]",
)  # fmt: skip
@click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
    help="Where steps are done: on this machine, or on the nodes of a Ray cluster.",
)  # fmt: skip
@click.option("--address", help="Address of the Ray cluster.  [default: RAY_ADDRESS, or the one on this machine]")
@click.option("--dry-run", is_flag=True, help="Show the steps and how long they may take; do nothing.")
@_options.workspace
@_options.as_json
def command(
    path: Path | None,
    workspace: Workspace,
    as_json: bool,
    dry_run: bool,
    parallel: int | None,
    engine: EngineName,
    address: str | None,
    **given: Any,
) -> None:
    """Train, export, verify, evaluate and measure every combination of a matrix.

    Each cell is a measurement, with the steps that lead to it. What is done in the workspace is not done again; a sweep
    that was killed goes on where it was. A step that fails leaves its reason in its cells, and the next sweep tries it
    again. Trainings share the machine, a measurement has it to itself. Exit code 1 if a cell failed.
    """
    from rich.console import Console
    from rich.markup import escape

    from edgebench.commands import _sweep_progress
    from edgebench.records import jsonio
    from edgebench.sweeping import plan
    from edgebench.sweeping import sweep as sweeping
    from edgebench.training.listening import fetching

    made = plan.make(_told(path, given), str(path) if path else "the sweep")
    console = Console(stderr=True)
    with console.status("looking up what the plan names") as status:
        ready = sweeping.prepare(
            made, workspace, engine=engine, address=address, parallel=parallel,
            on_weights=lambda *told: status.update(escape(fetching(*told))),
        )  # fmt: skip
    for sentence in ready.notices:
        console.print(sentence, style="bold yellow", highlight=False, markup=False, soft_wrap=True)
    for sentence in ready.matrix.left_out:
        console.print(f"left out: {sentence}", highlight=False, markup=False, soft_wrap=True)
    if dry_run:
        _show_steps(ready, as_json)
        return
    with _sweep_progress.SweepProgress(ready) as progress:
        swept = sweeping.sweep(ready, on_change=progress.show, say=progress.say)
    done = len(swept.cells) - swept.failed
    if as_json:
        told = {"cells": swept.cells, "left_out": swept.left_out, "interrupted": swept.interrupted}
        click.echo(jsonio.dumps(told, indent=1))
    else:
        for sentence in _sweep_progress.failures(ready.matrix, swept.outcomes):
            click.echo(sentence, err=True)
        click.echo(f"{done} of {len(swept.cells)} cells done; results: {workspace.results}")
        if swept.interrupted:
            click.echo("Interrupted: the same command goes on with it.")
        else:
            _next.tell("report")
    if swept.interrupted:
        sys.exit(130)  # as shells do after SIGINT
    if swept.failed:
        sys.exit(1)


def _told(path: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """The values of the plan's file, overridden by those of the flags."""
    from edgebench.errors import UsageError
    from edgebench.sweeping import plan

    flags: dict[str, Any] = {}
    for name in LISTS:
        if given[name] is not None:
            items = [item.strip() for item in given[name].split(",") if item.strip()]
            flags[name] = [_value(item) for item in items] if name == "seeds" else items
    for table in plan.TABLES:
        settings = {}
        for item in given[table]:
            key, sign, value = item.partition("=")
            if not sign:
                raise UsageError(f"--{table} {item!r} is not KEY=VALUE", "for example --train epochs=20")
            settings[key.strip()] = _value(value.strip())
        if settings:
            flags[table] = settings
    if given["race"] is not None:
        flags["run"] = {"race": given["race"]} | flags.get("run", {})
    if given["evaluate"] is not None:
        flags["evaluate"] = given["evaluate"]
    return plan.overlay(plan.read(path) if path else {}, flags)


def _value(text: str) -> Any:
    """A number, true or false as TOML writes them; anything else is text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _show_steps(ready: ReadySweep, as_json: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgebench.records import jsonio
    from edgebench.records.terminal import printable

    matrix, outcomes, left = ready.matrix, ready.done(), ready.estimate()
    steps = matrix.steps
    if as_json:
        rows = [
            {"kind": s.kind, "title": s.title, "identity": s.identity, "needs": s.needs, "done": s.identity in outcomes}
            for s in steps
        ]
        told = {"steps": rows, "cells": len(matrix.cells), "left_out": matrix.left_out, "estimate": left}
        click.echo(jsonio.dumps(told, indent=1))
        return
    table = Table("kind", "step", "for", "state", header_style="bold", pad_edge=False)
    for step in steps:
        mine = [cell for cell in matrix.cells if step in cell.steps]
        first = mine[0]
        whose = first.whose
        if step.kind in ("evaluate", "measure"):
            whose += f", {first.target} {first.precision}"
        cells = f"{len(mine)} cells" if len(mine) > 1 else "1 cell"
        state = "done" if step.identity in outcomes else f"to do ({cells})"
        table.add_row(*(escape(printable(text)) for text in (step.kind, step.title, whose, state)))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    done = len(outcomes)
    click.echo(f"{len(matrix.cells)} cells; {len(steps)} steps, {done} of them done already")
    click.echo(f"time: {left.sentence()}")
