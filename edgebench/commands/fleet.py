"""`edgebench fleet`: one plan on several boards at once, over ssh."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options, _remote
from edgebench.errors import EdgebenchError, UsageError

if TYPE_CHECKING:
    from edgebench.boards.fleet import Board, BoardState, Fleet
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench fleet boards.toml
  edgebench fleet boards.toml runs/artifacts/NAME-onnx --json"""
)
@click.argument("boards", metavar="BOARDS.toml", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("paths", metavar="[ARTIFACT]...", nargs=-1, type=click.Path(path_type=Path))
@_remote.ssh_config
@_options.workspace
@_options.as_json
def command(boards: Path, paths: tuple[Path, ...], config: Path | None, workspace: Workspace, as_json: bool) -> None:
    """Measure artifacts (by default the newest) on all the boards that a file lists, at the same time.

    Each board measures as in `edgebench run --host`, with the options that the file gives it, one artifact at a time. A
    board that fails does not hold up the others. Exit code 1 if any of them failed.
    """
    from rich.console import Console
    from rich.live import Live

    from edgebench.boards import fleet, orders
    from edgebench.boards.remote_run import Order
    from edgebench.boards.ssh import Host
    from edgebench.commands._progress import conclude, told
    from edgebench.records import jsonio

    plan = fleet.read(boards)
    asked = []
    for board in plan.boards:  # check all of them before anything starts anywhere
        arguments, runtimes = _arguments(plan, board, boards)
        artifacts = tuple(_remote.chosen(paths, workspace, runtimes))
        order = Order(
            arguments=("run", "--require-device", *arguments),
            artifacts=artifacts,
            folder=workspace.results,
            board=board.name,
        )
        asked.append((fleet.BoardState(board=board), Host(board.host, config), order))
    states = [state for state, _, _ in asked]
    console = Console(stderr=True)

    def came(state: BoardState, result: Any, path: Path) -> None:
        if result.stop != "interrupted":
            text = f"{state.board.name}: {told(result, path)}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)

    live = Live(_table(states), console=console, auto_refresh=False, transient=True)

    def changed() -> None:
        live.update(_table(states), refresh=console.is_terminal)

    with live, orders.interruptible() as stopped:
        fleet.measure(asked, changed=changed, stopped=stopped, came=came)
    results = [result for state in states for result in state.results]
    if as_json:
        click.echo(jsonio.dumps([_told(state) for state in states], indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(_table(states))
        conclude(results, workspace, as_json=False)
    if stopped():
        sys.exit(130)
    if any(state.state != "done" for state in states):
        sys.exit(1)


def _arguments(plan: Fleet, board: Board, path: Path) -> tuple[list[str], tuple[str, ...]]:
    """A board's options as arguments of `edgebench run`, which checks them; and the runtimes that they name."""
    from edgebench.commands.run import command as run

    where = f"{path}: {board.name}"
    by_name = {option.removeprefix("--").replace("-", "_"): p for p in run.params for option in p.opts}
    made: list[str] = []
    for key, value in plan.options(board).items():
        parameter = by_name.get(key)
        if not isinstance(parameter, click.Option) or parameter.name in _remote.HERE:
            raise UsageError(
                f"{where}: {key!r} is not an option of a run on a board", "`edgebench run --help` has them"
            )
        made += _remote.spelled(parameter, value)
    try:
        ctx = run.make_context("run", list(made))
    except (click.UsageError, EdgebenchError) as error:
        raise UsageError(f"{where}: {error.format_message()}", "correct the file") from None
    return made, ctx.params["runtimes"]


def _told(state: BoardState) -> dict[str, Any]:
    from edgebench.results.rows import rows

    device, measured = state.board.device, rows(state.results)
    return {
        "name": state.board.name, "device": device, "state": state.state, "message": state.message, "results": measured
    }  # fmt: skip


def _table(states: list[BoardState]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from edgebench.records.terminal import printable
    from edgebench.report.formats import MISSING

    table = Table("board", "device", "state", "measured", "failed", "", header_style="bold", pad_edge=False)
    for s in states:
        good = sum(result.status == "ok" for result in s.results if result.stop != "interrupted")
        bad = sum(result.status != "ok" for result in s.results)
        cells = (s.board.name, s.board.device or MISSING, s.state, str(good), str(bad), s.message or s.doing)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    return table
