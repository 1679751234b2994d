"""`edgebench data`: what is in a folder of pictures, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgebench.commands import _next, _options
from edgebench.records.recipe import TrainConfig

SETTINGS = ("data_dir", "layout", "labels", "group_by", "near_copies", "skip_conflicts", "subset", "seed")


@click.command(
    epilog="""\b
Examples:
  edgebench data photos/
  edgebench data photos/ --sheet photos.png
  edgebench data photos/ --layout split/class
  edgebench data photos/ --labels photos/labels.csv --json"""
)
@click.argument("dataset", metavar="FOLDER", shell_complete=_options.complete_datasets)
@_options.settings(TrainConfig, only=SETTINGS)
@click.option(
    "--sheet", type=click.Path(dir_okay=False, path_type=Path),
    help="Draw a few pictures of each class, as a network sees them, into FILE.png.",
)  # fmt: skip
@click.option("--image-size", type=int, help="Pixels of the pictures on the sheet.  [default: the dataset's, 224]")
@_options.config
@_options.as_json
def command(dataset: str, sheet: Path | None, image_size: int | None, as_json: bool, **given: Any) -> None:
    """Show how edgebench understands a folder of pictures, and what becomes of each file in it.

    Every file that was found is used, for training, validation or test, or left out for a reason that is told with the
    first names. FOLDER may also be the name of a dataset, such as cifar10. Nothing is trained, and nothing is written
    but the sheet.
    """
    import shlex

    from rich.console import Console

    from edgebench import api_search
    from edgebench.records import jsonio
    from edgebench.report import account

    with Console(stderr=True).status("looking at the pictures") as status:
        found = api_search.data(
            dataset, sheet=sheet, image_size=image_size,
            tell=lambda done, total: status.update(f"looking at the pictures: {done:,} of {total:,}"), **given,
        )  # fmt: skip
    if as_json:
        click.echo(jsonio.dumps({"account": found, "sheet": None if sheet is None else str(sheet)}, indent=1))
        return
    for line in account.lines(found):
        click.echo(line)
    if sheet:
        click.echo(f"sheet: {sheet}")
    texts = {"--layout": given["layout"], "--labels": given["labels"], "--group-by": given["group_by"]}
    said = "".join(f" {flag} {shlex.quote(text)}" for flag, text in texts.items() if text)
    said += " --no-near-copies" * (not given["near_copies"]) + " --skip-conflicts" * given["skip_conflicts"]
    _next.tell(f"train --dataset {shlex.quote(dataset)}{said}")
