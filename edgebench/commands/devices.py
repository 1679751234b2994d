"""`edgebench devices`: lists the profiles and says which one this machine is. Its subcommands are in device_*.py."""

from __future__ import annotations

from typing import Any

import click

from edgebench.commands import _options, device_detect, device_restore, device_setup, device_show


class DeviceCommands(click.Group):
    """A group that helps where a user gives a device's name instead of a subcommand."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands and not ctx.resilient_parsing:
            from edgebench.errors import UsageError, unknown_name
            from edgebench.machine.device import profile_names

            if args[0] in profile_names():
                raise UsageError(f"{args[0]} is a device, not a command", f"`edgebench devices show {args[0]}`")
            raise unknown_name("command", args[0], self.commands, where="`edgebench devices --help`")
        return super().resolve_command(ctx, args)


@click.group(
    cls=DeviceCommands,
    invoke_without_command=True,
    epilog="""\b
Examples:
  edgebench devices
  edgebench devices show jetson_orin
  edgebench devices detect --write rover
  edgebench devices setup robot@orin.local""",
)
@_options.as_json
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the device profiles and say which one this machine is."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgebench.errors import UsageError
    from edgebench.machine.device import describe_machine, detect, load_profile, profile_names
    from edgebench.records import jsonio

    if ctx.invoked_subcommand:
        if as_json:
            fix = f"`edgebench devices {ctx.invoked_subcommand} … --json`"
            raise UsageError("--json has to follow the command that it is for", fix)
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


command.add_command(device_show.command, "show")
command.add_command(device_detect.command, "detect")
command.add_command(device_setup.command, "setup")
command.add_command(device_restore.command, "restore")
