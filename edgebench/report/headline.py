"""A result in one sentence, for the line that follows a measurement."""

from __future__ import annotations

from edgebench.machine.scenario_registry import find
from edgebench.measuring.scenarios.wording import median
from edgebench.records.result import Result, Summary

STOPPED = {
    "precision": "",
    "launches": "",
    "max_seconds": "; the time was up first",
    "interrupted": "; INTERRUPTED",
}


def headline(result: Result) -> str:
    """The figures that answer the scenario's question, and how well they are known."""
    scenario, summary = find(result.job.scenario), result.summary
    told = scenario.headline
    if summary is None:
        return (told(result) if told and scenario.figures else "") or "nothing was measured"
    return f"{told(result) if told else median(summary)} ({_basis(result, summary)}){_energy(result)}"


def _energy(result: Result) -> str:
    """The energy with its meter, or why there is none although one might expect it."""
    energy = result.energy
    if energy is None or energy.missing in ("off", "emulated", "scenario", "no_meter"):
        return ""
    if energy.mj_per_inference is None:
        return f"; no energy: {energy.reason}"
    what = find(result.job.scenario).unit
    net = "" if energy.net_mj_per_inference is None else f", {energy.net_mj_per_inference:.4g} above idle"
    return (
        f"; {energy.mj_per_inference:.4g} mJ per {what}{net}, at {energy.mean_power_mw / 1000:.3g} W ({energy.label})"
    )


def _basis(result: Result, summary: Summary) -> str:
    launches = f"{summary.launches} launch{'es' if summary.launches > 1 else ''}"
    return f"{launches}, {summary.n:,} requests{STOPPED.get(result.stop or '', '')}"
