"""`edgebench devices detect`: which device this machine is, what is not known about it, and a profile to start from."""

from __future__ import annotations

import click

from edgebench.commands import _next, _options


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
    """Say which profile recognises this machine, and what no profile knows about it.

    --write puts what can be read here into a starter profile, ~/.config/edgebench/devices/NAME.toml. From then on this
    machine is recognised as NAME.
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
        click.echo(f"less specific profiles that fit too: {', '.join(p.name for p in others)}")
    for key, value in known.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        shown = ", ".join(shown) if isinstance(shown, list) else shown
        click.echo(f"  {key.replace('_', ' ')}: {shown or 'unknown'}")
    for sentence in missing:
        click.echo(f"unknown: {sentence}")
    if path:
        click.echo(f"written: {path}: complete it from the data sheet")
    elif first.match.any or first.match.nvidia_gpu:
        _next.tell("devices detect --write NAME")
