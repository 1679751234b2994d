"""A result in one sentence, for the line that follows a measurement."""

from __future__ import annotations

from edgebench.records.result import LoadGenVerdict, Result, Summary
from edgebench.results import stats

STOPPED = {
    "precision": "",
    "launches": "",
    "max_seconds": "; the time was up first",
    "interrupted": "; INTERRUPTED",
}


MLPERF_S = 600  # that a submission takes at least
TOLD = {
    "samples_per_s": "{:,.1f} images/s", "completed_samples_per_s": "{:,.1f} images/s completed",
    "scheduled_samples_per_s": "{:,.1f} scheduled", "p50_latency_ns": "median {:.3f} ms",
    "p90_latency_ns": "p90 {:.3f} ms", "p99_latency_ns": "p99 {:.3f} ms", "queries": "{:,.0f} queries",
}  # fmt: skip


def headline(result: Result) -> str:
    """The figures that answer the scenario's question, with how well they are known."""
    if result.loadgen:
        return _loadgen(result.loadgen)
    summary = result.summary
    if summary is None:
        return "nothing was measured"
    return f"{_figures(result, summary)} ({_basis(result, summary)}){_energy(result)}"


def _energy(result: Result) -> str:
    """The energy with its meter, or why there is none where one might be expected."""
    energy = result.energy
    if energy is None or energy.missing in ("off", "emulated", "scenario", "no_meter"):
        return ""
    if energy.mj_per_inference is None:
        return f"; no energy: {energy.reason}"
    what = "frame" if result.summary and result.summary.camera else "inference"
    net = "" if energy.net_mj_per_inference is None else f", {energy.net_mj_per_inference:.4g} above idle"
    return (
        f"; {energy.mj_per_inference:.4g} mJ per {what}{net}, at {energy.mean_power_mw / 1000:.3g} W ({energy.label})"
    )


def _loadgen(verdict: LoadGenVerdict) -> str:
    shown = (
        text.format(verdict.figures[name] / (1e6 if name.endswith("_ns") else 1))
        for name, text in TOLD.items()
        if name in verdict.figures
    )
    short = f", {MLPERF_S} s in a submission to MLPerf" if verdict.min_duration_s < MLPERF_S else ""
    return f"{verdict.word} ({verdict.min_duration_s:g} s at least{short}): {', '.join(shown)}"


def _figures(result: Result, summary: Summary) -> str:
    median = "median –" if summary.median_ns is None else f"median {summary.median_ns / 1e6:.3f} ms"
    if (width := stats.half_width(summary)) is not None:
        median += f" ± {width:.1%}"
    if camera := summary.camera:
        return (
            f"{median} from the scheduled time, {camera.missed} of {camera.frames} frames ({camera.miss_rate:.2%}) "
            f"later than {camera.deadline_ms:.4g} ms, jitter {camera.jitter_ns / 1e6:.3f} ms"
        )
    if run := summary.sustained:
        low, high = run.slowdown_ci95
        return f"{run.verdict}: the end takes {run.slowdown:.3f} × the start (95 % {low:.3f} to {high:.3f}); {median}"
    if result.job.scenario == "throughput":
        job = result.job
        return f"{summary.throughput_per_s:,.1f} images/s at batch {job.batch} with {job.streams} in flight; {median}"
    return median


def _basis(result: Result, summary: Summary) -> str:
    launches = f"{summary.launches} launch{'es' if summary.launches > 1 else ''}"
    return f"{launches}, {summary.n:,} requests{STOPPED.get(result.stop or '', '')}"
