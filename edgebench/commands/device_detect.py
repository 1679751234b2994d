"""`edgebench devices detect`: which device this machine is, and what is not known about it."""

from __future__ import annotations

import click

from edgebench.commands import _options


@click.command(
    epilog="""\b
Examples:
  edgebench devices detect
  edgebench devices detect --write rover
  edgebench devices detect --json"""
)
@click.option("--write", "name", metavar="NAME", help="Write a starter profile of this machine, to be completed.")
@click.option("--force", is_flag=True, help="Overwrite your profile of that NAME.")
@_options.as_json
def command(name: str | None, force: bool, as_json: bool) -> None:
    """Name this machine: which profile recognises it, by what, and what no profile knows of it.

    The starter profile holds what can be read here and lies in ~/.config/edgebench/devices/NAME.toml; from then on
    this machine is a NAME.
    """
    from edgebench.errors import UsageError
    from edgebench.machine import starter_profile
    from edgebench.machine.device import describe_machine, recognised
    from edgebench.records import jsonio

    if force and not name:
        raise UsageError("--force is for --write", "`edgebench devices detect --write NAME --force`")
    path = starter_profile.write(name, force=force) if name else None
    first, *others = recognised()
    known, missing = starter_profile.identity(), starter_profile.unknown(first)
    if as_json:
        told = {"device": first.name, "also": [p.name for p in others], "machine": known, "unknown": missing}
        click.echo(jsonio.dumps({**told, "written": path and str(path)}, indent=1))
        return
    click.echo(f"this machine: {describe_machine()}")
    click.echo(f"device: {first.name} ({first.title})")
    if others:
        click.echo(f"recognised too, less specifically: {', '.join(p.name for p in others)}")
    for key, value in known.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        shown = ", ".join(shown) if isinstance(shown, list) else shown
        click.echo(f"  {key.replace('_', ' ')}: {shown or 'not told by this machine'}")
    for sentence in missing:
        click.echo(f"unknown: {sentence}")
    if path:
        click.echo(f"written: {path}: complete it from the data sheet")
    elif first.match.any or first.match.nvidia_gpu:
        click.echo("next: edgebench devices detect --write NAME")
