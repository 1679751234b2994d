"""`edgebench models`: the names that --model takes."""

from __future__ import annotations

import click

from edgebench.commands import _options
from edgebench.training.requirements import require_training_libraries


@click.command(
    epilog="""\b
Examples:
  edgebench models
  edgebench models --all 'efficientnet*'"""
)
@click.argument("pattern", required=False)
@click.option("--all", "show_all", is_flag=True, help="Every timm model, not only the short names.")
@_options.as_json
def command(pattern: str | None, show_all: bool, as_json: bool) -> None:
    """List the short names of the backbones in groups, and with --all every timm model; PATTERN may hold * and ?.

    --model also takes FILE.py:function, which executes the file, and the path of a TOML with timm = "NAME".
    """
    require_training_libraries()
    from fnmatch import fnmatch

    from edgebench.errors import EdgebenchError
    from edgebench.machine import registry
    from edgebench.records import jsonio
    from edgebench.training.models import GROUPS, import_timm, is_timm

    groups = {title: dict(group) for title, group in GROUPS.items()}
    groups["installed plug-ins"] = {name: name for name in registry.names("models") if not is_timm(name)}
    if show_all:
        groups["timm"] = {name: name for name in import_timm().list_models()}
    chosen = {
        title: {k: v for k, v in group.items() if pattern is None or fnmatch(k, pattern) or fnmatch(v, pattern)}
        for title, group in groups.items()
    }
    if not any(chosen.values()):
        raise EdgebenchError(f"no model fits {pattern!r}", "a wider pattern such as '*net*', or --all")
    if as_json:
        click.echo(jsonio.dumps({k: v for group in chosen.values() for k, v in group.items()}, indent=1))
        return
    width = max(map(len, (name for title in GROUPS for name in groups[title])))
    for title, group in chosen.items():
        if group:
            click.echo(f"{title}:")
        for name, timm_name in group.items():
            click.echo(f"  {name}" if name == timm_name else f"  {name:<{width}}  {timm_name}")
