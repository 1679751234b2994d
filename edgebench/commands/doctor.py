"""`edgebench doctor`: what works on this machine, what does not, and the fix."""

from __future__ import annotations

import sys

import click

from edgebench.commands import _options


@click.command(
    epilog="""\b
Examples:
  edgebench doctor
  edgebench doctor --json"""
)
@_options.as_json
def command(as_json: bool) -> None:
    """Load every adapter and say what works, what does not, and the fix.

    Exit code 1 if no runtime that measures works here.
    """
    from rich.console import Console

    from edgebench.machine.device import describe_machine, detect
    from edgebench.measuring import doctor
    from edgebench.records import jsonio

    with Console(stderr=True).status("loading every adapter"):
        findings = doctor.examine()
    if as_json:
        click.echo(jsonio.dumps({"device": detect().name, "findings": findings}, indent=1))
    else:
        click.echo(f"this machine: {describe_machine()} (profile {detect().name})")
        for finding in findings:
            click.echo(f"{'ok' if finding.works else '--':<3} {finding.kind:<8} {finding.name:<13} {finding.detail}")
            if finding.fix:
                click.echo(f"      fix: {finding.fix}")
    if not doctor.can_measure(findings):
        sys.exit(1)
