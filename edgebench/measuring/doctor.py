"""Examines every adapter on this machine: does it load, what can it do, and if not, what is the fix?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.errors import Unsupported
from edgebench.machine import registry
from edgebench.measuring import process
from edgebench.protocols import Exporter


@dataclass(frozen=True)
class Finding:
    """What was found about one adapter. `detail` is a line for a person; `fix` is empty where nothing is wrong."""

    kind: str
    name: str
    works: bool
    detail: str
    fix: str = ""


def examine() -> list[Finding]:
    """One finding for each registered runtime and exporter. Never raises for what an adapter does."""
    return _runtimes() + _exporters()


def _runtimes() -> list[Finding]:
    found = []
    stated = registry.all_facts("runtimes")
    for probe in process.probe_all():
        if probe.error:
            found.append(Finding("runtime", probe.name, False, probe.error, probe.fix))
        elif not probe.computes:
            detail = f"{probe.version} loads, but finds nothing to run on"
            found.append(Finding("runtime", probe.name, False, detail, "check the driver of the GPU: nvidia-smi"))
        else:
            detail = f"{probe.version}: opens {', '.join(probe.accepts)} on {', '.join(probe.computes)}"
            if stated[probe.name].only_by_name:
                detail += " (scripted, for tests; only when named)"
            found.append(Finding("runtime", probe.name, True, detail))
    return found


def _exporters() -> list[Finding]:
    found = []
    for name in registry.names("exporters"):
        try:
            exporter = registry.load("exporters", name)
            exporter.check("fp32")
            found.append(Finding("exporter", name, True, f"makes {exporter.produces} in {_precisions(exporter)}"))
        except Unsupported as error:
            found.append(Finding("exporter", name, False, error.message, error.fix))
    return found


def _precisions(exporter: Exporter) -> str:
    """What it makes here, and what it lacks for the rest."""
    told = []
    for precision in exporter.accepts:
        try:
            exporter.check(precision)
            told.append(precision)
        except Unsupported as error:
            told.append(f"{precision} ({error.fix or error.message})")
    return ", ".join(told)


def can_measure(findings: Sequence[Finding]) -> bool:
    """Does at least one runtime that really measures work?"""
    stated = registry.all_facts("runtimes")
    return any(f.kind == "runtime" and f.works and not stated[f.name].only_by_name for f in findings)
