"""Examines every adapter on this machine: does it load, what can it do, and how can it be fixed if not?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from edgebench.errors import EdgebenchError
from edgebench.machine import accelerators, power, registry, scenario_registry
from edgebench.machine.device import detect
from edgebench.machine.power.place import Place
from edgebench.measuring import process
from edgebench.records.probe import Probe


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The finding on one adapter. `detail` is a sentence for people; `fix` is empty if nothing is wrong."""

    kind: str
    name: str
    works: bool
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """One finding for each registered runtime, exporter, meter and scenario, and each accelerator without a runtime.

    Never raises, whatever an adapter does.
    """
    kinds = {kind: registry.names(kind) for kind in ("runtimes", "exporters")}
    probes = process.probe([(kind, name) for kind, names in kinds.items() for name in names])
    runtimes, exporters = probes[: len(kinds["runtimes"])], probes[len(kinds["runtimes"]) :]
    return [*map(_runtime, runtimes), *map(_exporter, exporters), *_accelerators(), *_meters(), *_scenarios()]


def _runtime(probe: Probe) -> Finding:
    if probe.error:
        return Finding(kind="runtime", name=probe.name, works=False, detail=probe.error, fix=probe.fix)
    if not probe.computes:
        detail, fix = f"{probe.version} loads, but finds nothing to run on", "check the driver of the GPU: nvidia-smi"
        return Finding(kind="runtime", name=probe.name, works=False, detail=detail, fix=fix)
    detail = f"{probe.version}: opens {', '.join(probe.accepts)} on {', '.join(probe.computes)}"
    detail = "; ".join([detail, *(f"not {compute}: {why}" for compute, why in probe.lacking.items())])
    if registry.facts("runtimes", probe.name).only_by_name:
        detail += " (scripted, for tests; only when named)"
    return Finding(kind="runtime", name=probe.name, works=True, detail=detail)


def _exporter(probe: Probe) -> Finding:
    if probe.error:
        return Finding(kind="exporter", name=probe.name, works=False, detail=probe.error, fix=probe.fix)
    detail = "; ".join([f"makes {probe.name} in {', '.join(probe.accepts)}", *probe.refused])
    return Finding(kind="exporter", name=probe.name, works=True, detail=detail)


def _accelerators() -> list[Finding]:
    """Those that are here; nobody has to be told of others."""
    return [
        Finding(kind="device", name=one.name, works=False, detail=one.why, fix=one.fix) for one in accelerators.found()
    ]


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


def can_measure(findings: Sequence[Finding]) -> bool:
    """Whether at least one runtime works that really measures."""
    stated = registry.all_facts("runtimes")
    return any(f.kind == "runtime" and f.works and not stated[f.name].only_by_name for f in findings)
