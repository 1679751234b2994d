"""`edgebench select`: what to deploy on a device under limits, and what was close."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.choosing.limits import Prefer
from edgebench.commands import _options
from edgebench.machine.scenario_registry import timed
from edgebench.records.jobs import LATENCY

if TYPE_CHECKING:
    from edgebench.choosing.limits import Limits
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench select --max-p99-ms 20 --min-accuracy 0.9
  edgebench select --device jetson_orin --max-p99-ms 20 --max-memory-mb 512 --max-power-w 10 --max-energy-mj 50
  edgebench select --device cpu --max-size-mb 10 --prefer latency
  edgebench select --scenario throughput --min-images-per-s 200 --out decision.md"""
)
@click.option(
    "--device", metavar="PROFILE", shell_complete=_options.complete_devices,
    help="The device to choose for.  [default: the one that has results]",
)  # fmt: skip
@_options.limits
@click.option(
    "--prefer", type=click.Choice(typing.get_args(Prefer)), default="accuracy", show_default=True,
    help="What counts as best among all that keep the limits; the next criterion decides between ties.",
)  # fmt: skip
@click.option(
    "--scenario", type=click.Choice(timed()), default=LATENCY, show_default=True,
    help="Choose by what was measured in this scenario.",
)  # fmt: skip
@click.option(
    "--batch", type=int, help="Only this batch size.  [default: 1 in the scenario latency, any in the others]"
)
@click.option("--model", metavar="NAME", help="Only this model.")
@_options.dataset
@click.option(
    "--format", "form", type=click.Choice(["table", "markdown", "json"]),
    help="[default: by the ending of --out, else a table]",
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file as well.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@_options.workspace
def command(
    device: str | None, limits: Limits, prefer: Prefer, scenario: str, batch: int | None, model: str | None,
    dataset: str | None, form: str | None, out: Path | None, as_json: bool, workspace: Workspace,
) -> None:  # fmt: skip
    """Choose what to deploy under limits: the best that keeps all of them, what ties, and by how much the others miss.

    A limit whose figure was not measured is unknown, and does not count as kept. Only measured figures of one machine
    are ranked together; emulated ones only where there are no others, and they are labelled. Exit code 1 if nothing is
    known to fit; then the nearest miss is named.
    """
    import sys

    from rich.console import Console

    from edgebench.choosing.selecting import select
    from edgebench.errors import UsageError, unknown_name
    from edgebench.records import jsonio
    from edgebench.report import choice

    form = "json" if as_json else form
    written = form
    if out is not None:
        written = {".md": "markdown", ".json": "json"}.get(out.suffix) if form in (None, "table") else form
        if written is None:
            raise UsageError(f"--out {out} does not say which format", "end it in .md or .json, or give --format")
    rows = _options.rows(workspace)
    if model is not None and rows and model not in (have := {row.model for row in rows}):
        raise unknown_name("model in the results", model, have)
    decision = select(
        [row for row in rows if model in (None, row.model)], limits, device=device, prefer=prefer, scenario=scenario,
        batch=batch, dataset=dataset,
    )  # fmt: skip
    if out is not None:
        jsonio.write_text(out, choice.WRITERS[written](decision))
    if form in (None, "table"):
        for line in choice.headline(decision):
            click.echo(line)
        console = Console(width=None if sys.stdout.isatty() else 200)
        console.print(choice.terminal(decision, console.width))
    else:
        click.echo(choice.WRITERS[form](decision), nl=False)
    if decision.chosen is None:
        sys.exit(1)
