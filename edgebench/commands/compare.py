"""`edgebench compare`: is the new slower than the old? Two sets of results, cell by cell, with exit codes for CI."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from edgebench.commands import _options
from edgebench.errors import UsageError, unknown_name

FAIL_ON = ("slower", "inconclusive")


def fail_on_names(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """`--fail-on slower,inconclusive` and `--fail-on slower --fail-on inconclusive` alike."""
    names = [name.strip() for item in given for name in item.split(",")]
    for name in names:
        if name not in FAIL_ON:
            raise unknown_name("verdict for --fail-on", name, FAIL_ON)
    return tuple(dict.fromkeys(names))


def complete_fail_on(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in FAIL_ON if name.startswith(incomplete)]


@click.command(
    epilog="""\b
Examples:
  edgebench compare runs-before runs-after
  edgebench compare base.json new.json --band 0.05
  edgebench compare nightly/results pr/results --history --fail-on slower
  edgebench compare main/results pr/results --fail-on slower --out compare.xml
  edgebench compare before after --format markdown >> "$GITHUB_STEP_SUMMARY\""""
)
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option(
    "--band", type=float, default=0.02, show_default=True, help="A difference within ± this share is ignored."
)
@click.option(
    "--fail-on", "fail_on", multiple=True, metavar="VERDICT", callback=fail_on_names, shell_complete=complete_fail_on,
    help="Exit code 1 for this verdict. slower: also where NEW alone fails; inconclusive: also where a cell is refused "
    "or only in BASE. Repeatable, or with commas.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(["table", "markdown", "json", "junit"]),
    help="[default: by the ending of --out, else a table]",
)  # fmt: skip
@click.option(
    "--history", "with_history", is_flag=True,
    help="A cell is slower also if all results of BASE and NEW together show that it became slower over time.",
)  # fmt: skip
@_options.since
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file instead of stdout.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    base: Path, new: Path, band: float, fail_on: tuple[str, ...], form: str | None, with_history: bool,
    since: datetime | None, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare the results in NEW with those in BASE: faster, slower, equivalent or inconclusive, cell by cell.

    BASE and NEW are each a workspace, a folder of results or one result's JSON file. Both sides need five launches
    that no other load disturbed. Cells that differ in device, CPU, precision, threads, batch or the like are refused;
    artifacts, versions and runtime options may differ, and are listed. Exit code 1 also if nothing could be compared.
    """
    import sys

    from rich.console import Console

    from edgebench.comparing import judging
    from edgebench.records import jsonio
    from edgebench.report import comparison as shown

    form = "json" if as_json else form
    if form is None and out is not None:
        endings = {".md": "markdown", ".json": "json", ".xml": "junit"}
        if (form := endings.get(out.suffix)) is None:
            raise UsageError(f"--out {out} does not say which format", "end it in .md, .json or .xml, or give --format")
    if form == "table" and out is not None:
        raise UsageError("a table is for the terminal", "--format markdown for a file")
    if since and not with_history:
        raise UsageError("--since is for the history", "add --history")
    if base.resolve() == new.resolve():
        raise UsageError(f"BASE and NEW are both {base}", "give two results, folders or workspaces")
    sides = []
    for path in (base, new):
        found, problems = judging.load(path)
        for problem in problems:
            click.echo(f"warning: skipped {problem.message}", err=True)
        sides.append(found)
    made = judging.compare(*sides, band=band, names=(str(base), str(new)), with_history=with_history, since=since)
    if form in (None, "table"):
        Console(width=None if sys.stdout.isatty() else 120).print(shown.terminal(made))
    else:
        text = shown.WRITERS[form](made, fail_on)
        if out is None:
            click.echo(text, nl=False)
        else:
            jsonio.write_text(out, text)
            click.echo(f"comparison: {out} ({shown.summary(made)})")
    if made.failing(fail_on):
        sys.exit(1)
    if not any(cell.launches or cell.outcome == "failed" for cell in made.cells):
        click.echo("nothing could be compared: every pair was refused", err=True)
        sys.exit(1)
