"""`edgebench devices restore`: puts back the settings that a killed run has left behind."""

from __future__ import annotations

import click

from edgebench.commands import options


@click.command(
    epilog="""\b
Examples:
  edgebench devices restore
  sudo -E $(command -v edgebench) devices restore"""
)
@options.as_json
def command(as_json: bool) -> None:
    """Put back the power mode and the clocks that `edgebench run --power-mode … --lock-clocks` had found.

    A run does this by itself, also on Ctrl-C; after a kill -9 or a crash of the machine, this does.
    """
    from edgebench import board, jsonio

    done = board.restore()
    if as_json:
        click.echo(jsonio.dumps({"restored": bool(done), "message": done}, indent=1))
    else:
        click.echo(done or "nothing to put back")
