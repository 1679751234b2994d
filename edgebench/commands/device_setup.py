"""`edgebench devices setup`: install edgebench and a runtime on a board over ssh, for `edgebench run --host`."""

from __future__ import annotations

from pathlib import Path

import click

from edgebench.commands import _next, _options, _remote


@click.command(
    epilog="""\b
Examples:
  edgebench devices setup robot@orin.local
  edgebench devices setup my-pi --runtime onnxruntime --yes"""
)
@click.argument("host", metavar="USER@BOARD")
@click.option(
    "--runtime", "runtimes", multiple=True, metavar="NAME", shell_complete=_options.complete_runtimes,
    help="Install this runtime; may be given several times.  [default: what the board's profile prefers]",
)  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask.")
@_remote.ssh_config
@_options.as_json
def command(host: str, runtimes: tuple[str, ...], yes: bool, config: Path | None, as_json: bool) -> None:
    """Install edgebench and a runtime on a board, in a virtual environment of their own.

    The version is the one that runs here. The environment is in ~/.local/share/edgebench on the board. The board's own
    pip fills it from its own index, without root. Run again, this installs what has changed here; if nothing has, it
    only checks that everything works.
    """
    from rich.console import Console

    from edgebench import __version__
    from edgebench.boards import provision
    from edgebench.boards.ssh import Host
    from edgebench.records import jsonio
    from edgebench.records.terminal import printable

    board, console = Host(host, config), Console(stderr=True)
    with console.status("connecting"):
        plan = provision.plan(board, runtimes)
    what = ", ".join(plan.runtimes) or "no runtime"
    if plan.needed:
        facts = printable(f"{plan.machine}, Python {plan.python}, device {plan.device}")
        click.echo(f"{board.name}: {facts}", err=True)
        click.echo(f"to be installed in {provision.ROOT}/venv there: edgebench {__version__}, {what}", err=True)
        if not yes:
            click.confirm("Go on?", default=True, abort=True, err=True)
    with console.status("") as status:

        def say(text: str) -> None:
            if console.is_terminal:
                status.update(printable(text).replace("[", "\\["))
            else:  # a log gets a line of each
                click.echo(f"{board.name}: {printable(text)}", err=True)

        provision.carry_out(board, plan, say)
    if as_json:
        click.echo(jsonio.dumps({"host": board.name, "plan": plan}, indent=1))
    else:
        click.echo(f"{board.name}: {'set up' if plan.needed else 'was set up already'}: {what}")
        _next.tell(f"run --host {host}")
