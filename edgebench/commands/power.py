"""`edgebench power`: which power meters work here, and what they read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from edgebench.commands import _options
from edgebench.errors import UsageError
from edgebench.machine.power import PowerOptions

if TYPE_CHECKING:
    from edgebench.machine.power.place import Place, Watts
    from edgebench.machine.power.survey import Found
    from edgebench.records.energy import Sample


@click.command(
    epilog="""\b
Examples:
  edgebench power                         every meter: what it reads now, or what it lacks
  edgebench power --seconds 5             readings of the best one, once a second, and their mean
  edgebench power tegrastats --seconds 60 --json
  edgebench power model --watts 3.5:12 --seconds 5"""
)
@click.argument("meter", required=False, shell_complete=_options.complete_meters)
@click.option(
    "--device",
    metavar="PROFILE",
    shell_complete=_options.complete_devices,
    help="Device profile; it says which rails add up to the whole.  [default: what this machine is]",
)
@_options.settings(PowerOptions, only=("watts",))
@click.option("--seconds", type=float, help="Read METER, or the best meter, for so many seconds.")
@_options.as_json
def command(meter: str | None, device: str | None, watts: Watts | None, seconds: float | None, as_json: bool) -> None:
    """List the power meters and which of them work here; with --seconds, print what one of them reads.

    Exit code 1 if the meter that was asked for does not work.
    """
    from edgebench.machine.device import detect, load_profile
    from edgebench.machine.power.place import Place

    PowerOptions(meter or "auto", watts).check()
    if meter == "none":
        raise UsageError("none is not a meter", "`edgebench power` lists them")
    place = Place(load_profile(device) if device else detect(), watts=watts)
    if meter is None and seconds is None:
        _list(place, as_json)
        return
    _watch(meter or "auto", place, 5.0 if seconds is None else seconds, as_json)


def _list(place: Place, as_json: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from edgebench.machine.power.survey import survey
    from edgebench.records import jsonio

    found = survey(place)
    if as_json:
        click.echo(jsonio.dumps({"device": place.profile.name, "meters": found}, indent=1))
        return
    table = Table("meter", "works", "scope", "W now", "rails, or what is missing", header_style="bold", pad_edge=False)
    for one in found:
        watts = "–" if one.power_mw is None else f"{one.power_mw / 1000:.3f}"
        scope = f"{one.scope}, MODELLED" if one.modelled and one.scope else one.scope or "–"
        table.add_row(one.meter, "yes" if one.works else "no", scope, watts, escape(_story(one)))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _story(found: Found) -> str:
    from edgebench.records.terminal import printable

    if not found.works:
        return printable(f"{found.problem} ({found.fix})" if found.fix else found.problem)
    return printable(_rails(found.rails_mw))


def _rails(rails_mw: dict[str, float]) -> str:
    return ", ".join(f"{name} {mw / 1000:.3f} W" for name, mw in rails_mw.items())


def _watch(wanted: str, place: Place, seconds: float, as_json: bool) -> None:
    from edgebench.errors import EdgebenchError
    from edgebench.machine.power import watching
    from edgebench.records import jsonio

    told = watching.watch(wanted, place, seconds, (lambda sample: None) if as_json else _show)
    if as_json:
        click.echo(jsonio.dumps(told, indent=1))
    elif told.mean_power_mw is not None:
        click.echo(
            f"{told.label}: mean {told.mean_power_mw / 1000:.3f} W ({told.min_power_mw / 1000:.3f} to "
            f"{told.max_power_mw / 1000:.3f}), {told.gross_j:.2f} J in {told.window_s:.2f} s, "
            f"{told.updates} new values at {told.sample_rate_hz:.1f} Hz"
        )
    if told.mean_power_mw is None:
        raise EdgebenchError(
            f"{told.source} gave no figure: {told.reason}", "`edgebench power` says what each meter lacks"
        )


def _show(last: Sample | None) -> None:
    if last is None:
        click.echo("–")
        return
    whole = "–" if last.total_mw is None else f"{last.total_mw / 1000:.3f} W"
    click.echo(f"{whole}   {_rails(last.rails_mw)}")
