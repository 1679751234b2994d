"""`edgebench report`: the measurements as a table, for a person or another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.commands import options

if TYPE_CHECKING:
    from edgebench.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench report
  edgebench report --format markdown --out report.md
  edgebench report --device jetson_orin --format csv > orin.csv"""
)
@click.option(
    "--format", "form", type=click.Choice(["table", "markdown", "csv", "json"]),
    help="[default: by the ending of --out, else a table]",
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout.")
@click.option("--device", metavar="PROFILE", shell_complete=options.complete_devices, help="Only this device.")
@click.option("--model", metavar="NAME", help="Only this model.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@options.workspace
def command(
    form: str | None, out: Path | None, device: str | None, model: str | None, as_json: bool, workspace: Workspace
) -> None:
    """Show the newest result of every measurement: model, cost, accuracy, latency, throughput, memory and evidence."""
    import sys

    from rich.console import Console

    from edgebench import jsonio, results
    from edgebench.errors import EdgebenchError, UsageError, unknown_name
    from edgebench.report import formats
    from edgebench.report.rows import rows

    form = "json" if as_json else form
    if form is None and out is not None:
        endings = {".md": "markdown", ".csv": "csv", ".json": "json"}
        if (form := endings.get(out.suffix)) is None:
            raise UsageError(f"--out {out} does not say which format", "end it in .md, .csv or .json, or give --format")
    if form == "table" and out is not None:
        raise UsageError("a table is for the terminal", "--format markdown for a file")
    found, problems = results.load(workspace.results)
    for problem in problems:
        click.echo(f"warning: skipped {problem.message}", err=True)
    for kind, wanted, have in (
        ("device", device, {r.job.device for r in found}), ("model", model, {r.artifact.model.name for r in found}),
    ):  # fmt: skip
        if wanted and found and wanted not in have:
            raise unknown_name(f"{kind} in the results", wanted, have)
    made = rows([r for r in found if device in (None, r.job.device) and model in (None, r.artifact.model.name)])
    if not made:
        raise EdgebenchError(f"there are no results in {workspace.results}", "make some: `edgebench run`")
    if form in (None, "table"):
        Console(width=None if sys.stdout.isatty() else 200).print(formats.terminal(made))
        return
    text = formats.WRITERS[form](made)
    if out is None:
        click.echo(text, nl=False)
    else:
        jsonio.write_text(out, text)
        click.echo(f"report: {out}")
