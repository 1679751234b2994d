"""`edgebench estimate`: a floor under the latency of a model on a device that may not be here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgebench.commands import _options

if TYPE_CHECKING:
    from edgebench.estimating.host_peaks import HostPeaks
    from edgebench.estimating.roofline import Floor, Held
    from edgebench.records.result import Result
    from edgebench.records.workspace import Workspace
    from edgebench.specs import Artifact


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
@click.option("--layers", type=click.IntRange(0), default=8, show_default=True, help="Show so many, the longest first.")
@click.option("--here/--no-here", default=True, show_default=True, help="Benchmark this machine, for comparison.")
@_options.workspace
@_options.as_json
def command(
    paths: tuple[Path, ...], device: str | None, batch: int, layers: int, here: bool, workspace: Workspace,
    as_json: bool,
) -> None:  # fmt: skip
    """Say what ARTIFACT takes at the least on a device: a roofline floor from the profile's peaks, layer by layer.

    It is no forecast: real latency is a multiple of it, and how large a multiple is shown for this machine, whose peaks
    a benchmark of two seconds measures. Its evidence is `estimated-floor`, which is never ranked with what is measured.
    """
    from edgebench import artifact
    from edgebench.errors import UsageError
    from edgebench.estimating import roofline
    from edgebench.estimating.onnx_layers import layers as layers_of
    from edgebench.machine.device import load_profile
    from edgebench.records import jsonio

    if not (device or here):
        raise UsageError("--no-here leaves no device to estimate for", "--device PROFILE")
    profile = load_profile(device) if device else None
    given = [artifact.read(path) for path in paths] or workspace.newest_artifacts()
    models = list(
        {one.identity: one for one in (_as_onnx(found, workspace, bool(paths)) for found in given) if one}.values()
    )
    if not models:
        raise UsageError("there is no ONNX artifact, by which layers are read", "`edgebench export --target onnx`")
    results = _results(workspace.results)
    measured, busy, told = None, "", []
    for model in models:
        graph = layers_of(artifact.model_file(model, ".onnx"), batch)
        entry: dict[str, Any] = {
            "artifact": model.path.name, "model": model.model.name, "precision": model.precision, "batch": batch,
        }  # fmt: skip
        if profile:
            floor = roofline.floor(graph, roofline.of_profile(profile))
            there = [r for r in results if r.job.device == profile.name]
            entry |= {"device": profile.name, "title": profile.title, "floor": floor}
            entry["measured"] = roofline.held(there, model, batch, floor.floor_ms)
        if here:
            if measured is None:
                measured, busy = _benchmark()
            own = roofline.floor(graph, roofline.of_host(measured))
            mine = [r for r in results if r.job.compute == "cpu" and _was_here(r)]
            entry["here"] = {"floor": own, "measured": roofline.held(mine, model, batch, own.floor_ms), "notice": busy}
        told.append(entry)
    if as_json:
        click.echo(jsonio.dumps([_with_ratios(entry) for entry in told], indent=1))
        return
    for entry in told:
        _show(entry, layers)


def _benchmark() -> tuple[HostPeaks, str]:
    """This machine's peaks, and a sentence if other programs took their part of them."""
    from edgebench.estimating import host_peaks
    from edgebench.machine import locks
    from edgebench.machine.foreign_load import ForeignLoad

    with locks.device_to_ourselves():
        watch = ForeignLoad()
        found, notice = host_peaks.measure(), watch.notice()
    why = f"{notice.message}: these peaks are too low, and the floor too high" if notice else ""
    return found, why


def _as_onnx(found: Artifact, workspace: Workspace, named: bool) -> Artifact | None:
    """The artifact itself if it is ONNX, else the ONNX artifact of the same checkpoint and precision."""
    from edgebench.errors import UsageError

    for one in workspace.family(found) if found.format != "onnx" else [found]:
        if one.format == "onnx" and one.precision == found.precision:
            return one
    if not named:
        return None
    fix = "`edgebench export --target onnx`, or name the ONNX artifact that it was made from"
    raise UsageError(f"{found.path.name} is {found.format}: its layers are read from an ONNX of {found.precision}", fix)


def _results(folder: Path) -> list[Result]:
    from edgebench.errors import BadFile
    from edgebench.results import store

    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(store.read(path, samples=False))
        except BadFile as error:
            click.echo(f"left out: {error.message}", err=True)
    return found


def _was_here(result: Result) -> bool:
    """Whether it was measured on a machine such as this one: its fingerprint has no name of a machine."""
    from edgebench.machine.device import available_cores
    from edgebench.machine.fingerprint import cpu_model

    cpus = [launch.before.get("cpu") or {} for launch in result.launches]
    same = {(cpu.get("model"), len(cpu.get("affinity") or ())) for cpu in cpus} == {(cpu_model(), available_cores())}
    return same and result.job.evidence == "measured"


def _with_ratios(entry: dict[str, Any]) -> dict[str, Any]:
    from edgebench.records.jsonio import encode

    def rows(measured: tuple[Held, ...]) -> list[dict[str, Any]]:
        return [{**encode(one), "ratio": one.ratio} for one in measured]

    shown = encode(entry)
    if "measured" in entry:
        shown["measured"] = rows(entry["measured"])
    if "here" in entry:
        shown["here"]["measured"] = rows(entry["here"]["measured"])
    return shown


def _show(entry: dict[str, Any], count: int) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    click.echo(f"{entry['artifact']} ({entry['precision']}), batch {entry['batch']}")
    main = entry.get("floor") or entry["here"]["floor"]
    if "floor" in entry:
        click.echo(f"  on {entry['device']} ({entry['title']}): {_sentence(entry['floor'])}")
        _show_held(entry["measured"], entry["device"])
    if count:
        table = Table("layer", "operator", "MMACs", "weights KiB", "floor µs", "bound by", header_style="bold")
        for layer in sorted(main.layers, key=lambda one: one.floor_us, reverse=True)[:count]:
            figures = [f"{layer.macs / 1e6:.1f}", f"{layer.weight_bytes / 1024:.1f}", f"{layer.floor_us:.2f}"]
            what = f"{layer.operator} {layer.precision}"
            table.add_row(escape(layer.name or "–"), what, *figures, layer.bound or "no peak known")
        Console(width=None if sys.stdout.isatty() else 200).print(table)
        if len(main.layers) > count:
            click.echo(f"  and {len(main.layers) - count} more layers: --layers {len(main.layers)}")
    if "here" in entry:
        click.echo(f"  on this machine: {_sentence(entry['here']['floor'])}")
        if entry["here"]["notice"]:
            click.echo(f"    {entry['here']['notice']}")
        _show_held(entry["here"]["measured"], "this machine")
    click.echo("  a floor is no forecast: real latency is a multiple of it, and another multiple on every device")


def _sentence(floor: Floor) -> str:
    peaks = [f"{value:,.0f} {'GOP/s' if p == 'int8' else 'GFLOP/s'} {p}" for p, value in floor.roof.gflops.items()]
    peaks += [f"{floor.roof.bandwidth_gb_s:.4g} GB/s"] if floor.roof.bandwidth_gb_s is not None else []
    lines = [
        f"no faster than {floor.floor_ms:.3g} ms [{floor.evidence}]",
        f"    peaks {floor.roof.source}: {', '.join(peaks)}",
    ]
    if floor.roof.cache_bytes:
        lines.append(f"    weights up to {floor.roof.cache_bytes // 2**20} MiB may stay in its cache")
    return "\n".join([*lines, *(f"    {sentence}" for sentence in floor.missing)])


def _show_held(measured: tuple[Held, ...], where: str) -> None:
    seen = {}
    for one in measured:  # newest first
        seen.setdefault((one.runtime, one.threads), one)
    for (runtime, threads), one in seen.items():
        times = f"{one.median_ms:.3g} ms, {one.ratio:.2f} × the floor"
        times += "" if one.ratio >= 1 else ": the peaks are too low"
        click.echo(f"    measured with {runtime}, {threads} threads: {times}")
    if not seen:
        click.echo(f"    nothing of it was measured on {where} yet: `edgebench run` shows how loose the floor is")
