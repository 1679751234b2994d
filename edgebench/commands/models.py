"""`edgebench models`: the names that --model takes."""

from __future__ import annotations

import typing

import click

from edgebench.commands import _options
from edgebench.records.beginning import Licence, is_permissive
from edgebench.training.requirements import require_training_libraries


@click.command(
    epilog="""\b
Examples:
  edgebench models
  edgebench models --licence permissive
  edgebench models --all 'efficientnet*'"""
)
@click.argument("pattern", required=False)
@click.option("--all", "show_all", is_flag=True, help="Every timm model, not only the short names.")
@click.option(
    "--licence", type=click.Choice(typing.get_args(Licence)), default="any", show_default=True,
    help="permissive: only those whose weights everybody may use.",
)  # fmt: skip
@_options.as_json
def command(pattern: str | None, show_all: bool, licence: Licence, as_json: bool) -> None:
    """List the short names of the backbones in groups, and with --all every timm model; PATTERN may hold * and ?.

    Beside each name: timm's name of its weights, and their licence.

    --model also takes FILE.py:function, which executes the file, and the path of a TOML with timm = "NAME".
    """
    require_training_libraries()
    from fnmatch import fnmatch

    from edgebench.errors import EdgebenchError
    from edgebench.machine import registry
    from edgebench.records import jsonio
    from edgebench.training.models import import_timm, is_timm, timm_weights
    from edgebench.training.short_names import GROUPS, SINCE

    timm = import_timm()
    groups = {title: dict(group) for title, group in GROUPS.items()}
    groups["installed plug-ins"] = {name: name for name in registry.names("models") if not is_timm(name)}
    if show_all:
        groups["timm"] = {name: name for name in timm.list_models()}
    weights = {name: timm_weights(timm_name) for group in groups.values() for name, timm_name in group.items()}
    chosen = {
        title: {
            k: v for k, v in group.items()
            if (pattern is None or fnmatch(k, pattern) or fnmatch(v, pattern))
            and (licence == "any" or is_permissive(weights[k].licence))
        }
        for title, group in groups.items()
    }  # fmt: skip
    if not any(chosen.values()):
        what = f"no model fits {pattern!r}" if pattern else "no model is left"
        limit = " under a permissive licence" if licence == "permissive" else ""
        raise EdgebenchError(f"{what}{limit}", "a wider pattern such as '*net*', or --all")
    if as_json:
        told = {
            name: {"timm": timm_name, "weights": weights[name].name or None, "licence": weights[name].licence or None}
            for group in chosen.values() for name, timm_name in group.items()
        }  # fmt: skip
        click.echo(jsonio.dumps(told, indent=1))
        return
    width = max(map(len, (name for title in GROUPS for name in groups[title])))
    for title, group in chosen.items():
        if group:
            click.echo(f"{title}:")
        for name, timm_name in group.items():
            what = weights[name].name or timm_name
            if name in SINCE and not weights[name].name:
                what = f"{timm_name} (needs timm {SINCE[name]} or newer)"
            named = f"  {name}" if name == what else f"  {name:<{width}}  {what}"
            click.echo(f"{named}  {weights[name].licence or 'licence unknown'}" if weights[name].name else named)
