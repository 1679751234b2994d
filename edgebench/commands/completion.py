"""`edgebench completion`: the script that makes a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

FILES = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/edgebench.fish"}


@click.command(
    epilog="""\b
Examples:
  edgebench completion bash >> ~/.bashrc
  edgebench completion fish > ~/.config/fish/completions/edgebench.fish"""
)
@click.argument("shell", type=click.Choice(list(FILES)))
def command(shell: str) -> None:
    """Print the completion script for a shell; it completes commands, options, devices, runtimes and targets."""
    completer = get_completion_class(shell)
    assert completer is not None  # click has all three
    click.echo(
        completer(click.get_current_context().find_root().command, {}, "edgebench", "_EDGEBENCH_COMPLETE").source()
    )
