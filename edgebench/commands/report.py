"""`edgebench report`: measurements and trainings as tables and plots, for a person or another program."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from edgebench.choosing.limits import Prefer
from edgebench.commands import _options

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.choosing.limits import Limits
    from edgebench.records.workspace import Workspace
    from edgebench.results.figures import Row
    from edgebench.specs import Artifact


@click.command(
    epilog="""\b
Examples:
  edgebench report
  edgebench report --format markdown --out report.md
  edgebench report --device jetson_orin --format csv > orin.csv
  edgebench report --trainings --plots plots/
  edgebench report --html --max-p99-ms 20 --min-accuracy 0.9"""
)
@click.option(
    "--format", "form", type=click.Choice(["table", "markdown", "csv", "json", "html"]),
    help="[default: by the ending of --out, else a table]",
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout.")
@click.option("--device", metavar="PROFILE", shell_complete=_options.complete_devices, help="Only this device.")
@click.option("--model", metavar="NAME", help="Only this model.")
@_options.dataset
@click.option("--trainings", is_flag=True, help="Show the trainings and their studies instead of the measurements.")
@click.option(
    "--plots", type=click.Path(file_okay=False, path_type=Path),
    help="Draw the trainings into this folder: convergence.png, samples.png, batch-size.png, where there is data for "
    "them.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--html", "as_html", is_flag=True,
    help="A page: one file that opens offline, with plots, the trainings, and a decision for each device under these "
    "limits.  [default --out: report.html in the workspace]",
)  # fmt: skip
@_options.limits
@click.option("--prefer", type=click.Choice(typing.get_args(Prefer)), help="As in `edgebench select`; with --html.")
@_options.workspace
def command(
    form: str | None, out: Path | None, device: str | None, model: str | None, dataset: str | None, trainings: bool,
    plots: Path | None, as_json: bool, as_html: bool, limits: Limits, prefer: Prefer | None, workspace: Workspace,
) -> None:  # fmt: skip
    """Show the newest result of every measurement: model, cost, accuracy, latency, throughput, memory and evidence.

    With --trainings: every checkpoint and how fast it learned, and what the number of images or the batch size does
    where trainings differ in nothing else but the seed. CSV then holds the trainings alone.
    """
    from edgebench.errors import EdgebenchError, UsageError

    form = "html" if as_html else "json" if as_json else form
    if form is None and out is not None:
        endings = {".md": "markdown", ".csv": "csv", ".json": "json", ".html": "html"}
        if (form := endings.get(out.suffix)) is None:
            raise UsageError(
                f"--out {out} does not say which format", "end it in .md, .csv, .json or .html, or give --format"
            )
    if form == "table" and out is not None:
        raise UsageError("a table is for the terminal", "give --format markdown for a file")
    if form != "html" and (prefer or limits.bounds()):
        raise UsageError("limits and --prefer are for the page", "add --html, or use `edgebench select`")
    if form == "html":
        if trainings or plots:
            raise UsageError("the page shows the trainings anyway", "leave --trainings and --plots out")
        which = Which(device, model, dataset)
        _page(out or workspace.root / "report.html", which, limits, prefer or "accuracy", workspace)
    elif trainings or plots:
        if device:
            raise UsageError("trainings have no --device", "leave it out, or leave out --trainings and --plots")
        found = [c for c in workspace.all_checkpoints() if Which(device, model, dataset).has(c)]
        if not found:
            raise EdgebenchError(f"there is no such checkpoint in {workspace.checkpoints}", "`edgebench train`")
        _trainings(found, form or "table", out, plots)
    else:
        _measurements(form or "table", out, Which(device, model, dataset), workspace)


class Which(NamedTuple):
    """What a report is about; None for all."""

    device: str | None
    model: str | None
    dataset: str | None

    def has(self, checkpoint: Artifact) -> bool:
        from edgebench.results.context import named, split_of

        if self.model not in (None, checkpoint.model.name):
            return False
        return self.dataset is None or named(split_of(checkpoint.training.data), self.dataset)


def _rows(which: Which, workspace: Workspace) -> list[Row]:
    """The rows of this device, model and dataset. Raises UsageError for one that no result has."""
    from edgebench.choosing.comparables import of_dataset
    from edgebench.errors import unknown_name

    found, (device, model, dataset) = _options.rows(workspace), which
    for kind, wanted, have in (
        ("device", device, {row.device for row in found}), ("model", model, {row.model for row in found}),
    ):  # fmt: skip
        if wanted and found and wanted not in have:
            raise unknown_name(f"{kind} in the results", wanted, have)
    found = [row for row in found if device in (None, row.device) and model in (None, row.model)]
    return of_dataset(found, dataset)


def _measurements(form: str, out: Path | None, which: Which, workspace: Workspace) -> None:
    from edgebench.errors import EdgebenchError
    from edgebench.report import formats

    made = _rows(which, workspace)
    if not made:
        raise EdgebenchError(f"there are no results in {workspace.results}", "make some: `edgebench run`")
    if form == "table":
        console = _console()
        console.print(formats.terminal(made, console.width))
    else:
        _write(formats.WRITERS[form](made), out)


def _page(out: Path, which: Which, limits: Limits, prefer: Prefer, workspace: Workspace) -> None:
    from edgebench.choosing.selecting import select
    from edgebench.errors import EdgebenchError
    from edgebench.report.page import Content, render
    from edgebench.results.context import grouped
    from edgebench.results.figures import split_of
    from edgebench.training import study

    rows = _rows(which, workspace)
    decisions, checkpoints, problems = [], [], []
    for split, judged in grouped(rows, split_of).items():
        for where in dict.fromkeys(row.device for row in judged):
            try:
                decisions.append(select(judged, limits, device=where, prefer=prefer))
            except EdgebenchError as error:  # such as no result of the scenario latency
                click.echo(f"no decision for {where} and {split.label}: {error.message}", err=True)
    decisions.sort(key=lambda decision: decision.chosen is None)  # answers first
    try:
        for checkpoint in workspace.all_checkpoints():
            if which.has(checkpoint):
                study.records(checkpoint)
                checkpoints.append(checkpoint)
    except EdgebenchError as error:
        problems.append(error.message)
    if not (rows or checkpoints):
        raise EdgebenchError(f"there is nothing to report in {workspace.root}", "`edgebench train`, `edgebench run`")
    content = Content(
        folder=workspace.results, rows=rows, decisions=decisions, checkpoints=checkpoints, problems=problems
    )
    _write(render(content), out)


def _trainings(checkpoints: list[Artifact], form: str, out: Path | None, plots: Path | None) -> None:
    from edgebench.records import jsonio
    from edgebench.report import trainings

    sections = trainings.sections(checkpoints)
    if form == "table":
        for title, rows in sections.items():
            _console().print(trainings.terminal(rows, title))
    elif form == "markdown":
        _write(trainings.markdown(sections), out)
    elif form == "csv":
        _write(trainings.as_csv(sections["trainings"]), out)
    else:
        _write(jsonio.dumps(sections, indent=1) + "\n", out)
    if plots:
        for path in trainings.plots_in(plots, checkpoints):
            click.echo(f"plot: {path}", err=form != "table")


def _console() -> Console:
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 200)


def _write(text: str, out: Path | None) -> None:
    from edgebench.records import jsonio

    if out is None:
        click.echo(text, nl=False)
    else:
        jsonio.write_text(out, text)
        click.echo(f"report: {out}")
