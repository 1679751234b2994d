"""The command that comes next, as a line to copy."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource


def tell(command: str, before: str = "") -> None:
    """Print "next: edgebench COMMAND". If this command was given a --workspace, the next one gets it too. `before`:
    what its line begins with, such as a variable of the environment."""
    context = click.get_current_context()
    given = context.get_parameter_source("workspace") is ParameterSource.COMMANDLINE
    where = f" --workspace {shlex.quote(str(context.params['workspace'].root))}" if given else ""
    click.echo(f"next: {before}edgebench {command}{where}")
