"""`edgebench models`: the names that --model takes."""

from __future__ import annotations

import click

from edgebench.commands import options
from edgebench.commands.train import _need_training_libraries


@click.command(
    epilog="""\b
Examples:
  edgebench models
  edgebench models --all 'efficientnet*'"""
)
@click.argument("pattern", required=False)
@click.option("--all", "show_all", is_flag=True, help="Every timm model, not only the short names.")
@options.as_json
def command(pattern: str | None, show_all: bool, as_json: bool) -> None:
    """List the short names of the backbones, and with --all every timm model; PATTERN may hold * and ?."""
    _need_training_libraries()
    from fnmatch import fnmatch

    from edgebench import jsonio
    from edgebench.errors import EdgebenchError
    from edgebench.models import SHORT_NAMES, import_timm

    names = dict(SHORT_NAMES) if not show_all else {n: n for n in import_timm().list_models()} | SHORT_NAMES
    chosen = {k: v for k, v in names.items() if pattern is None or fnmatch(k, pattern) or fnmatch(v, pattern)}
    if not chosen:
        raise EdgebenchError(f"no model fits {pattern!r}", "a wider pattern such as '*net*', or --all")
    if as_json:
        click.echo(jsonio.dumps(chosen, indent=1))
        return
    width = max(map(len, chosen))
    for name, timm_name in chosen.items():
        click.echo(name if name == timm_name else f"{name:<{width}}  {timm_name}")
