"""`edgebench history`: the results of the same measurement over time, and since when it is slower."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.commands import _options
from edgebench.errors import EdgebenchError, unknown_name

if TYPE_CHECKING:
    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench history
  edgebench history --device jetson_orin --model resnet50
  edgebench history nightly/*/results --since 2026-09-01
  edgebench history --fail-on slower --format markdown >> "$GITHUB_STEP_SUMMARY\""""
)
@click.argument("results", nargs=-1, type=click.Path(path_type=Path))
@click.option("--device", metavar="PROFILE", shell_complete=_options.complete_devices, help="Only this device.")
@click.option("--model", metavar="NAME", help="Only this model.")
@_options.since
@click.option("--band", type=float, default=0.02, show_default=True, help="A rise within this share is steady.")
@click.option("--fail-on", type=click.Choice(["slower"]), help="Exit code 1 if a measurement has become slower.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "markdown", "json"]),
    default="table",
    show_default=True,
    help="How it is shown.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@_options.workspace
def command(
    results: tuple[Path, ...], device: str | None, model: str | None, since: datetime | None, band: float,
    fail_on: str | None, form: str, as_json: bool, workspace: Workspace,
) -> None:  # fmt: skip
    """Show each measurement over time: when it became slower or faster, by how much, and what else changed then.

    RESULTS are workspaces, folders of results or results' files; without any, those of the workspace. The present level
    is held against the lowest one since --since, so that a creep is seen that no comparison of neighbours shows. It
    takes eight results of a measurement.
    """
    import sys

    from rich.console import Console

    from edgebench.comparing import history, judging
    from edgebench.report import history as shown

    found: list[Result] = []
    for path in results or (workspace.root,):
        some, problems = judging.load(path)
        for problem in problems:
            click.echo(f"warning: skipped {problem.message}", err=True)
        found += some
    for kind, wanted, have in (
        ("device", device, {result.job.device for result in found}),
        ("model", model, {result.artifact.model.name for result in found}),
    ):
        if wanted and wanted not in have:
            raise unknown_name(f"{kind} in the results", wanted, have)
    found = [r for r in found if device in (None, r.job.device) and model in (None, r.artifact.model.name)]
    made = history.history(found, band=band, since=since)
    if not made.cells:
        raise EdgebenchError(*history.nothing(found, since))
    form = "json" if as_json else form
    if form == "table":
        Console(width=None if sys.stdout.isatty() else 120).print(shown.terminal(made))
    else:
        click.echo(shown.WRITERS[form](made), nl=False)
    if fail_on and made.slower:
        sys.exit(1)
