"""The progress of `edgebench run`, on a terminal or in a file that another program follows (`--progress`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace


class RunProgress:
    """Shows what is being done right now, and each result that is done; a context manager.

    With a `file`, nothing goes to the console. Each is written there as a line of JSON: {"status": text} or
    {"result": file name}.
    """

    def __init__(self, console: Console, file: Path | None) -> None:
        self._console, self._status = console, console.status("")
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None

    def __enter__(self) -> RunProgress:
        self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._status.stop()
        if self._file:
            self._file.close()

    def update(self, text: str) -> None:
        from rich.markup import escape

        if self._file:
            self._file.write(json.dumps({"status": text}) + "\n")
        else:
            self._status.update(escape(text))

    def finished(self, result: Result, path: Path) -> None:
        """`result` is final, and in the file at `path`."""
        if self._file:
            self._file.write(json.dumps({"result": path.name}) + "\n")
        else:
            self._console.print(told(result, path), highlight=False, markup=False, soft_wrap=True)


def told(result: Result, path: Path) -> str:
    """A result in a line or a few: the headline, or what went wrong."""
    from edgebench.machine.scenario_registry import objections
    from edgebench.records.terminal import printable
    from edgebench.report.headline import headline
    from edgebench.results.stats import min_samples

    what = result.title
    if result.status != "ok":
        text = printable(f"{what}: {result.status}: {result.message}")
        return f"{text}\n  the end of its log is in {path}" if result.log_tail else text
    lines = [f"{what}: {headline(result)}"]
    if result.summary and result.summary.median_ns is None:
        more = "more launches with --max-seconds, or longer ones with --duration"
        lines.append(f"  too few requests for a median, which takes {min_samples(0.5)}: {more}")
    lines += [f"  {objection}" for objection in objections(result)]
    lines += [f"  warning: {notice.message} ({notice.remedy})" for notice in result.notices]
    return printable("\n".join(lines))


def conclude(done: list[Result], workspace: Workspace, as_json: bool) -> bool:
    """Print all results as a table or as JSON. True if every result is ok and no LoadGen run is INVALID."""
    from rich.console import Console

    from edgebench.machine.scenario_registry import objections
    from edgebench.records import jsonio
    from edgebench.report import ranking
    from edgebench.report.formats import terminal
    from edgebench.results.rows import rows

    if as_json:
        click.echo(jsonio.dumps(rows(done), indent=1))
    else:
        if done:
            console = Console(width=None if sys.stdout.isatty() else 200)
            console.print(terminal(rows(done), console.width))
            click.echo("".join(f"{line}\n" for line in ranking.lines(done)), nl=False)
            click.echo(f"results: {workspace.results}")
            click.echo("next: edgebench report")
    return all(result.status == "ok" and not objections(result) for result in done)
