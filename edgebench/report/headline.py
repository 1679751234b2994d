"""A result in one sentence, for the line that follows a measurement."""

from __future__ import annotations

from edgebench import stats
from edgebench.jobs import Result, Summary

STOPPED = {
    "precision": "",
    "launches": "",
    "max_seconds": "; the time was up first",
    "interrupted": "; INTERRUPTED",
}


def headline(result: Result) -> str:
    """The figures that answer the scenario's question, with how well they are known."""
    if verdict := next((launch.loadgen for launch in result.launches if launch.loadgen), None):
        figures = ", ".join(f"{name} {value:,.6g}" for name, value in verdict.figures.items())
        return f"{'VALID' if verdict.valid else 'INVALID'}: {figures}" + "".join(f"; {why}" for why in verdict.reasons)
    summary = result.summary
    if summary is None:
        return "nothing was measured"
    return f"{_figures(result, summary)} ({_basis(result, summary)})"


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
