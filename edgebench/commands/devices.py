"""`edgebench devices`: the profiles, and which of them this machine is."""

from __future__ import annotations

import click

from edgebench.commands import options


@click.command(
    epilog="""\b
Examples:
  edgebench devices
  edgebench devices jetson_orin"""
)
@click.argument("name", required=False, shell_complete=options.complete_devices)
@options.as_json
def command(name: str | None, as_json: bool) -> None:
    """List the device profiles and say which one this machine is; with a NAME, all that is known of that device."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgebench import jsonio
    from edgebench.device import describe_machine, detect, load_profile, profile_names

    if name:
        profile = load_profile(name)
        if as_json:
            click.echo(jsonio.dumps(profile, indent=1))
        else:
            _show(jsonio.encode(profile))
        return
    here = detect().name
    profiles = [load_profile(known) for known in profile_names()]
    if as_json:
        click.echo(jsonio.dumps({"here": here, "profiles": profiles}, indent=1))
        return
    table = Table("profile", "device", "cores", "memory MiB", "compute", "here", header_style="bold", pad_edge=False)
    for p in profiles:
        figures = [str(p.cpu.cores or "–"), str(p.memory.total_mib or "–")]
        table.add_row(escape(p.name), escape(p.title), *figures, p.compute, "◀" if p.name == here else "")
    Console().print(table)
    click.echo(f"this machine: {describe_machine()}")


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
