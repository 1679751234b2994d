"""Examines every adapter on this machine: does it load, what can it do, and how can it be fixed if not?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from edgebench.errors import EdgebenchError, Unsupported
from edgebench.machine import power, registry, scenario_registry
from edgebench.machine.device import detect
from edgebench.machine.power.place import Place
from edgebench.measuring import process
from edgebench.protocols import Exporter


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The finding on one adapter. `detail` is a sentence for people; `fix` is empty if nothing is wrong."""

    kind: str
    name: str
    works: bool
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """One finding for each registered runtime, exporter, meter and scenario. Never raises, whatever an adapter does."""
    return _runtimes() + _exporters() + _meters() + _scenarios()


def _runtimes() -> list[Finding]:
    found = []
    stated = registry.all_facts("runtimes")
    for probe in process.probe_all():
        if probe.error:
            found.append(Finding(kind="runtime", name=probe.name, works=False, detail=probe.error, fix=probe.fix))
        elif not probe.computes:
            detail = f"{probe.version} loads, but finds nothing to run on"
            found.append(
                Finding(
                    kind="runtime",
                    name=probe.name,
                    works=False,
                    detail=detail,
                    fix="check the driver of the GPU: nvidia-smi",
                )
            )
        else:
            detail = f"{probe.version}: opens {', '.join(probe.accepts)} on {', '.join(probe.computes)}"
            if stated[probe.name].only_by_name:
                detail += " (scripted, for tests; only when named)"
            found.append(Finding(kind="runtime", name=probe.name, works=True, detail=detail))
    return found


def _exporters() -> list[Finding]:
    found = []
    for name in registry.names("exporters"):
        try:
            exporter = registry.load("exporters", name)
            exporter.check("fp32")
            found.append(
                Finding(
                    kind="exporter",
                    name=name,
                    works=True,
                    detail=f"makes {exporter.produces} in {_precisions(exporter)}",
                )
            )
        except Unsupported as error:
            found.append(Finding(kind="exporter", name=name, works=False, detail=error.message, fix=error.fix))
    return found


def _meters() -> list[Finding]:
    found, here = [], Place(detect())
    for name in power.in_order():
        stated = registry.facts("meters", name)
        try:
            with closing(power.make_meter(name, here)) as meter:
                detail = f"measures the {meter.scope}, which includes the {' and '.join(stated.sees)}"
            found.append(Finding(kind="meter", name=name, works=True, detail=detail))
        except EdgebenchError as error:
            made_for = f" (it is for {stated.machines})" if stated.machines else ""
            found.append(
                Finding(kind="meter", name=name, works=False, detail=f"{error.message}{made_for}", fix=error.fix)
            )
    return found


def _scenarios() -> list[Finding]:
    found = []
    for name in scenario_registry.names():
        try:
            scenario = scenario_registry.load(name)
            if scenario.timed:
                found.append(Finding(kind="scenario", name=name, works=True, detail=scenario.help))
        except EdgebenchError as error:
            found.append(Finding(kind="scenario", name=name, works=False, detail=error.message, fix=error.fix))
    return found


def _precisions(exporter: Exporter) -> str:
    """The precisions it can make here, and why it cannot make the others."""
    made, others = [], []
    for precision in exporter.accepts:
        try:
            exporter.check(precision)
            made.append(precision)
        except Unsupported as error:
            others.append(f"; not {precision}: {error.message}{f' ({error.fix})' if error.fix else ''}")
    return ", ".join(made) + "".join(others)


def can_measure(findings: Sequence[Finding]) -> bool:
    """Whether at least one runtime works that really measures."""
    stated = registry.all_facts("runtimes")
    return any(f.kind == "runtime" and f.works and not stated[f.name].only_by_name for f in findings)
