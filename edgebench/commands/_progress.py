"""What a command is doing right now: on a terminal, in a log, or in a file that another program follows."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgebench.commands import _next

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace

EVERY_S = 10.0  # a line in a log, at most


class Phases:
    """Shows the present phase; a context manager. Where stderr is no terminal it becomes a line in the log now and
    then, and at once if it is told to be `now`."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._status = console.status("") if console.is_terminal else None
        self._said_at = clock()

    def __enter__(self) -> Phases:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._status:
            self._status.stop()

    def update(self, text: str, *, now: bool = False) -> None:
        from rich.markup import escape

        from edgebench.records.terminal import printable

        if self._status:
            self._status.update(escape(printable(text)))
        elif now or self._clock() - self._said_at >= EVERY_S:
            self._said_at = self._clock()
            self._console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def says_it_waits(console: Console, show: Callable[[str], None]) -> Callable[[], None]:
    """For a command that waits for the machine: says so, and for whom, as `tells` shows it."""
    from edgebench.machine import locks

    tell = tells(console, show)
    return lambda: tell(locks.waiting())


def tells(console: Console, show: Callable[[str], None]) -> Callable[[str], None]:
    """Shows phases, as markup. One that waits for the machine is said in a log as well."""
    from rich.markup import escape

    from edgebench.machine.locks import WAITING
    from edgebench.records.terminal import printable

    def tell(phase: str) -> None:
        text = printable(phase)  # a phase that waits holds the command line of another program
        if WAITING in text and not console.is_terminal:
            console.print(text, highlight=False, markup=False, soft_wrap=True)
        show(escape(text))

    return tell


class RunProgress:
    """Shows what is being done right now, and each result that is done; a context manager.

    With a `file`, nothing goes to the console. Each is written there as a line of JSON: {"status": text} or
    {"result": file name}.
    """

    def __init__(self, console: Console, file: Path | None) -> None:
        self._console, self._phases = console, Phases(console)
        self._warned: set[tuple[str, str]] = set()  # by race
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None

    def __enter__(self) -> RunProgress:
        self._phases.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._phases.__exit__(*exc)
        if self._file:
            self._file.close()

    def update(self, text: str, *, now: bool = False) -> None:
        if self._file:
            self._file.write(json.dumps({"status": text}) + "\n")
        else:
            self._phases.update(text, now=now)

    def say(self, sentence: str) -> None:
        """A sentence that stays."""
        if self._file:
            self.update(sentence)
        else:
            self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def finished(self, result: Result, path: Path) -> None:
        """`result` is final, and in the file at `path`. A warning of a whole race is shown with its first result."""
        if self._file:
            self._file.write(json.dumps({"result": path.name}) + "\n")
            return
        new = [n for n in result.notices if (result.race and result.race.race, n.message) not in self._warned]
        self._warned |= {(result.race.race, n.message) for n in new} if result.race else set()
        self.say(told(replace(result, notices=tuple(new)), path))


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
            _next.tell("report")
    return all(result.status == "ok" and not objections(result) for result in done)
