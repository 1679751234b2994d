"""`edgebench cluster`: what the nodes of a Ray cluster offer to a sweep, and what they lack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options

if TYPE_CHECKING:
    from edgebench.records.workspace import Workspace
    from edgebench.sweeping.cluster import Node


@click.group(
    epilog="""\b
Examples:
  edgebench cluster doctor
  edgebench cluster doctor plan.toml --address ray-head:6379"""
)
def command() -> None:
    """Check the Ray cluster that `edgebench sweep --engine ray` uses."""


@command.command(
    epilog="""\b
Examples:
  edgebench cluster doctor
  edgebench cluster doctor plan.toml --workspace /shared/runs"""
)
@click.argument("path", metavar="[PLAN.toml]", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--address", help="Address of the Ray cluster.  [default: RAY_ADDRESS, or the one on this machine]")
@_options.workspace
@_options.as_json
def doctor(path: Path | None, address: str | None, workspace: Workspace, as_json: bool) -> None:
    """Ask every node what it offers, whether it can train and whether it sees the workspace.

    It offers devices, cores, GPUs and the runtimes that work. With a plan, also say what the cluster lacks for it. Exit
    code 1 if anything is missing.
    """
    from rich.console import Console

    from edgebench.records import jsonio
    from edgebench.sweeping import cluster, on_ray, plan

    devices = plan.make(plan.read(path), str(path)).devices if path else ()
    ray = on_ray.connect(address)
    with Console(stderr=True).status("asking the nodes"):
        nodes = cluster.report(ray, workspace)
    lacking = cluster.lacking(nodes, devices)
    if as_json:
        click.echo(jsonio.dumps({"nodes": nodes, "lacking": lacking}, indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(_table(nodes))
        for sentence in lacking:
            click.echo(sentence)
        if not lacking:
            click.echo("nothing is missing")
    if lacking:
        sys.exit(1)


def _table(nodes: list[Node]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from edgebench.records.terminal import printable
    from edgebench.report.formats import MISSING

    table = Table(
        "node", "carries", "cores", "GPUs", "edgebench", "trains", "runtimes that work", "workspace", pad_edge=False
    )
    for node in nodes:
        working = ", ".join(f"{probe.name} {probe.version}" for probe in node.probes if not probe.error)
        told = (
            node.address, ", ".join(node.devices) or MISSING, f"{node.resources.get('CPU', 0):g}",
            f"{node.resources.get('GPU', 0):g}", node.version or MISSING, "yes" if node.trains else "no",
            working or MISSING, "seen" if node.storage else "not seen",
        )  # fmt: skip
        table.add_row(*(escape(printable(cell)) for cell in told))
    return table
