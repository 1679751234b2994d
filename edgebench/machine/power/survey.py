"""Tries every meter on this machine: which ones work and what they show now, or what each lacks."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine.power import in_order, make_meter
from edgebench.machine.power.place import Place
from edgebench.machine.power.window import faults_of
from edgebench.records.energy import Scope

PATIENCE_S = 2.5  # for the first figure: a tool's first line, a counter's second reading


@dataclass(frozen=True, kw_only=True)
class Found:
    """A meter on this machine. If it gives no figure, `power_mw` is None, with a `problem` and its `fix`."""

    meter: str
    works: bool
    scope: Scope | None = None
    modelled: bool = False
    power_mw: float | None = None
    rails_mw: dict[str, float] = field(default_factory=dict)
    total_rails: tuple[str, ...] = ()
    problem: str = ""
    fix: str = ""


def survey(place: Place) -> list[Found]:
    """Every meter, best first; each that opens is read once or twice."""
    return [_look(name, place) for name in in_order()]


def _look(name: str, place: Place) -> Found:
    try:
        meter = make_meter(name, place)
    except Unsupported as error:
        return Found(meter=name, works=False, problem=error.message, fix=error.fix)
    found = Found(meter=name, works=False, scope=meter.scope, modelled=meter.modelled, total_rails=meter.total_rails)
    deadline = time.monotonic() + PATIENCE_S
    rails: dict[str, float] = {}
    with closing(meter):
        while time.monotonic() < deadline:
            try:
                sample = meter.read()
            except EdgebenchError as error:
                return replace(found, problem=error.message, fix=error.fix)
            except Exception as error:  # a meter from elsewhere may raise anything, and must not hide the others
                return replace(found, problem=f"{type(error).__name__}: {error}", fix="see to it in the meter's file")
            if sample and sample.total_mw is not None:
                return replace(found, works=True, power_mw=sample.total_mw, rails_mw=sample.rails_mw)
            rails = sample.rails_mw if sample else rails
            time.sleep(meter.interval_s)
    whole = " + ".join(meter.total_rails)
    problem = f"the whole is {whole}; it shows {', '.join(rails) or 'nothing'}" if whole else "it shows nothing"
    faults, fix = faults_of(meter), "--device with the board's own profile"
    return replace(found, rails_mw=rails, problem=problem + faults, fix="see to the sensor" if faults else fix)
