"""`edgebench estimate`: a floor under the latency of a model on a device that may not be here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _adopting, _options, _progress

if TYPE_CHECKING:
    from edgebench.estimating.model_floor import DeviceFloor, ModelFloor
    from edgebench.estimating.roofline import Held
    from edgebench.records.workspace import Workspace


@click.command(
    epilog="""\b
Examples:
  edgebench estimate --device jetson_orin_nano
  edgebench estimate runs/artifacts/NAME-onnx --device jetson_orin --batch 4 --layers 20
  edgebench estimate                     how loose such a floor is, on this machine"""
)
@click.argument("paths", metavar="[ARTIFACT]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--device", metavar="PROFILE", shell_complete=_options.complete_devices,
    help="Device profile: `edgebench devices`.  [default: this machine, by a short benchmark]",
)  # fmt: skip
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Images a request.")
@click.option(
    "--layers", type=click.IntRange(0), default=8, show_default=True, help="How many layers to show, the longest first."
)
@click.option("--here/--no-here", default=True, show_default=True, help="Benchmark this machine, for comparison.")
@_options.workspace
@_options.as_json
def command(
    paths: tuple[Path, ...], device: str | None, batch: int, layers: int, here: bool, workspace: Workspace,
    as_json: bool,
) -> None:  # fmt: skip
    """Say how long ARTIFACT takes at least on a device: a roofline floor from the profile's peaks, layer by layer.

    The floor is no forecast: real latency is a multiple of it. For this machine, whose peaks a benchmark of two seconds
    measures, the multiple is shown. The evidence is `estimated-floor`, which is never ranked with measured figures.
    """
    from rich.console import Console

    from edgebench.estimating import model_floor
    from edgebench.machine import stated
    from edgebench.records import jsonio

    stated.check(device=device)
    model_floor.check_places(device, here=here)
    given = _adopting.read(paths, workspace, Console(stderr=True)) or workspace.newest_artifacts()
    console = Console(stderr=True)
    with console.status("") as status:
        found = model_floor.estimate(
            given, workspace, device=device, batch=batch, here=here, named=bool(paths),
            on_left_out=lambda sentence: click.echo(sentence, err=True),
            on_wait=_progress.says_it_waits(console, status.update),
        )  # fmt: skip
    if as_json:
        click.echo(jsonio.dumps(list(map(_told, found)), indent=1))
        return
    for one in found:
        _show(one, layers)


def _told(found: ModelFloor) -> dict[str, Any]:
    """For --json: only what was asked for, and the ratio of each measurement to its floor."""
    from edgebench.records.jsonio import encode

    def measured(where: DeviceFloor) -> list[dict[str, Any]]:
        return [{**encode(one), "ratio": one.ratio} for one in where.measured]

    model = found.artifact
    told: dict[str, Any] = {
        "artifact": model.path.name, "model": model.model.name, "precision": model.precision, "batch": found.batch,
    }  # fmt: skip
    if there := found.device:
        told |= {"device": there.profile.name, "title": there.profile.title, "floor": there.floor}
        told |= {"measured": measured(there), "reason": there.reason}
    if here := found.here:
        told["here"] = {
            "floor": here.floor, "measured": measured(here), "notice": here.notice, "reason": here.reason
        }  # fmt: skip
    return told


def _show(found: ModelFloor, count: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    click.echo(f"{found.artifact.path.name} ({found.artifact.precision}), batch {found.batch}")
    main = next((one.floor for one in (found.device, found.here) if one and one.floor), None)
    if there := found.device:
        click.echo(f"  on {there.profile.name} ({there.profile.title}): {_sentence(there)}")
        _show_held(there, there.profile.name)
    if count and main:
        table = Table("layer", "operator", "MMACs", "weights KiB", "floor µs", "bound by", header_style="bold")
        for layer in sorted(main.layers, key=lambda one: one.floor_us, reverse=True)[:count]:
            figures = [f"{layer.macs / 1e6:.1f}", f"{layer.weight_bytes / 1024:.1f}", f"{layer.floor_us:.2f}"]
            what = f"{layer.operator} {layer.precision}"
            table.add_row(escape(layer.name or "–"), what, *figures, layer.bound)
        Console(width=None if sys.stdout.isatty() else 200).print(table)
        if len(main.layers) > count:
            click.echo(f"  and {len(main.layers) - count} more layers: --layers {len(main.layers)}")
    if here := found.here:
        click.echo(f"  on this machine: {_sentence(here)}")
        if here.notice:
            click.echo(f"    {here.notice}")
        _show_held(here, "this machine")
    click.echo("  a floor is no forecast: real latency is a multiple of it, and the multiple differs between devices")


def _sentence(found: DeviceFloor) -> str:
    if (floor := found.floor) is None:
        return f"{found.reason}\n    {found.fix}"
    peaks = [f"{value:,.0f} {'GOP/s' if p == 'int8' else 'GFLOP/s'} {p}" for p, value in floor.roof.gflops.items()]
    peaks += [f"{floor.roof.bandwidth_gb_s:.4g} GB/s"] if floor.roof.bandwidth_gb_s is not None else []
    lines = [
        f"no faster than {floor.floor_ms:.3g} ms [{floor.evidence}]",
        f"    peaks {floor.roof.source}: {', '.join(peaks)}",
    ]
    if floor.roof.cache_bytes:
        lines.append(f"    weights up to {floor.roof.cache_bytes // 2**20} MiB may stay in its cache")
    return "\n".join([*lines, *[f"    {floor.uncounted}"] * bool(floor.uncounted)])


def _show_held(found: DeviceFloor, where: str) -> None:
    if not found.floor:
        return
    seen: dict[tuple[str, int | None], Held] = {}
    for one in found.measured:  # newest first
        seen.setdefault((one.runtime, one.threads), one)
    for (runtime, threads), one in seen.items():
        times = f"{one.median_ms:.3g} ms, {one.ratio:.2f} × the floor"
        times += "" if one.ratio >= 1 else ": the peaks are too low"
        click.echo(f"    measured with {runtime}, {threads} threads: {times}")
    if not seen:
        click.echo(f"    it has not been measured on {where} yet: `edgebench run` shows how loose the floor is")
