"""`edgebench devices show`: all that the profile of one device says."""

from __future__ import annotations

import click

from edgebench.commands import _options


@click.command(
    epilog="""\b
Examples:
  edgebench devices show jetson_orin
  edgebench devices show ./rover.toml --json"""
)
@click.argument("name", metavar="PROFILE", shell_complete=_options.complete_devices)
@_options.as_json
def command(name: str, as_json: bool) -> None:
    """Show all that a device PROFILE, a name or a .toml file, says."""
    from edgebench.machine.device import load_profile
    from edgebench.records import jsonio

    profile = load_profile(name)
    if as_json:
        click.echo(jsonio.dumps(profile, indent=1))
    else:
        _show(jsonio.encode(profile))


def _show(values: dict, indent: str = "") -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            click.echo(f"{indent}{key}:")
            _show(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            click.echo(f"{indent}{key}:")
            for item in value:
                click.echo(f"{indent}  - " + ", ".join(f"{k} {v}" for k, v in item.items() if v not in (None, False)))
        elif value not in (None, [], ""):
            click.echo(f"{indent}{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
