"""`edgebench devices restore`: puts back the settings that a killed run changed."""

from __future__ import annotations

from pathlib import Path

import click

from edgebench.commands import _options, _remote


@click.command(
    epilog="""\b
Examples:
  edgebench devices restore
  edgebench devices restore --host robot@orin.local
  sudo -E $(command -v edgebench) devices restore"""
)
@_remote.host_option
@_remote.ssh_config
@_options.as_json
def command(host: str | None, config: Path | None, as_json: bool) -> None:
    """Put back the power mode and the clocks that a killed run changed.

    `edgebench run --power-mode … --lock-clocks` does this by itself, also on Ctrl-C, but not after a kill -9 or a crash
    of the machine.
    """
    from edgebench.machine import clocks
    from edgebench.records import jsonio

    done = clocks.restore() if host is None else _there(host, config)
    if as_json:
        click.echo(jsonio.dumps({"restored": bool(done), "message": done}, indent=1))
    else:
        click.echo(done or "nothing to put back")


def _there(address: str, config: Path | None) -> str:
    from edgebench.boards.messages import Done
    from edgebench.boards.ssh import Connection, Host
    from edgebench.records.terminal import printable

    with Connection(Host(address, config)) as connection:
        connection.greet()
        return printable(connection.ask(Done, "restore").done)
