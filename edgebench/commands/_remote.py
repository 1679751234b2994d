"""`--host`: runs a command on a board over ssh, and stores the results here as if they were made here."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.errors import UsageError
from edgebench.records import options

if TYPE_CHECKING:
    from rich.console import Console

    from edgebench.boards.remote_run import Order
    from edgebench.boards.ssh import Host
    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace
    from edgebench.specs import Artifact

HERE = (
    "workspace",
    "as_json",
    "host",
    "config",
    "progress",
    "require_device",
)  # options of `run` that this machine uses itself: a board does not get them

ssh_config = click.option(
    "--ssh-config", "config", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="ssh's configuration.  [default: yours, ~/.ssh/config]",
)  # fmt: skip

host_option = click.option(
    "--host", metavar="USER@BOARD", help="Do it on this board, over ssh; see `edgebench devices setup`."
)


def hosted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give `edgebench run` the options `--host`, `--ssh-config` and `--progress`."""

    @host_option
    @ssh_config
    @click.option(
        "--progress", type=click.Path(dir_okay=False, path_type=Path),
        help="Append each step to this file, as a line of JSON, instead of showing it.",
    )  # fmt: skip
    @functools.wraps(function)
    def command(host: str | None, config: Path | None, **given: Any) -> None:
        if host is None:
            function(**given)
        else:
            from edgebench.boards.ssh import Host

            _run_there(Host(host, config), click.get_current_context(), **given)

    return command


def _run_there(
    host: Host, ctx: click.Context, *, paths: tuple[Path, ...], workspace: Workspace, as_json: bool, tuned: bool,
    runtimes: tuple[str, ...], **given: Any,
) -> None:  # fmt: skip
    from rich.console import Console

    from edgebench.boards import orders
    from edgebench.boards.remote_run import Order
    from edgebench.commands._progress import RunProgress, conclude

    if tuned:
        raise UsageError(
            "--tuned uses a setting found on this machine, --host measures on another", "give --runtime and --threads"
        )
    orders.on_device(given["device"])
    console = Console(stderr=True)
    arguments = ("run", "--require-device", *given_options(ctx, without=HERE))
    order = Order(
        arguments=arguments,
        artifacts=tuple(chosen(paths, workspace, runtimes)),
        folder=workspace.results,
        board=host.name,
    )
    with RunProgress(console, given["progress"]) as progress:
        done, code = carried_out(host, order, console, progress.update, progress.finished)
    well = conclude(done, workspace, as_json) if done else False
    if code or not well:
        sys.exit(code or 1)


def carried_out(
    host: Host, order: Order, console: Console, update: Callable[[str], None],
    finished: Callable[[Result, Path], None] = lambda result, path: None,
) -> tuple[list[Result], int]:  # fmt: skip
    """Carry out an order on a board, and show how far it is: its results, and its exit code."""
    from edgebench.boards import orders
    from edgebench.records.terminal import printable

    def came(result: Result, path: Path) -> None:
        if result.stop != "interrupted":
            finished(result, path)

    def line(text: str) -> None:
        console.print(f"{host.name}: {printable(text)}", highlight=False, markup=False, soft_wrap=True)

    return orders.carry_out(
        host, order, status=lambda text: update(f"{host.name}: {printable(text)}"), line=line, came=came
    )


def chosen(
    paths: tuple[Path, ...], workspace: Workspace, runtimes: Container[str], *, preprocess: str = ""
) -> list[Artifact]:  # fmt: skip
    """The artifacts that are named, else the newest. `preprocess`: see adopt.read."""
    from edgebench.adopting import adopt
    from edgebench.boards import orders

    return [adopt.read(path, workspace, preprocess=preprocess) for path in paths] or orders.newest(workspace, runtimes)


def given_options(ctx: click.Context, without: Container[str]) -> Iterator[str]:
    """The options that the user gave (as flags or in the environment), as arguments for another command line."""
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if isinstance(parameter, click.Option) and parameter.name not in without and source not in (None, _DEFAULT):
            yield from spelled(parameter, ctx.params[parameter.name])


def spelled(option: click.Option, value: Any) -> list[str]:
    """The arguments that give an option this value."""
    return options.spelled(option.opts[-1], value, "".join(option.secondary_opts[-1:]))


_DEFAULT = click.core.ParameterSource.DEFAULT
