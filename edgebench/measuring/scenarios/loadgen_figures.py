"""LoadGen's findings, in the words and units of all other scenarios."""

from __future__ import annotations

from edgebench.records.result import Result

SUBMISSION_S = 600  # the least duration of a run in a submission to MLPerf
TOLD = {
    "samples_per_s": "{:,.1f} images/s", "completed_samples_per_s": "{:,.1f} images/s completed",
    "scheduled_samples_per_s": "{:,.1f} scheduled", "p50_latency_ns": "median {:.3f} ms",
    "p90_latency_ns": "p90 {:.3f} ms", "p99_latency_ns": "p99 {:.3f} ms", "queries": "{:,.0f} queries",
}  # fmt: skip
# Images per second of offline, of server and of single-stream; LoadGen reports none for multi-stream.
THROUGHPUT = ("samples_per_s", "completed_samples_per_s", "queries_per_s")


def headline(result: Result) -> str:
    found = result.loadgen
    if found is None:
        return ""
    shown = (
        text.format(found.figures[name] / (1e6 if name.endswith("_ns") else 1))
        for name, text in TOLD.items()
        if name in found.figures
    )
    short = f", {SUBMISSION_S} s in a submission to MLPerf" if found.min_duration_s < SUBMISSION_S else ""
    return f"{found.word} ({found.min_duration_s:g} s at least{short}): {', '.join(shown)}"


def verdict(result: Result) -> str:
    return result.loadgen.word if result.loadgen else ""


def figures(result: Result) -> dict[str, float | None]:
    told = result.loadgen.figures if result.loadgen else {}
    return {
        "median_ns": told.get("p50_latency_ns"),
        "p90_ns": told.get("p90_latency_ns"),
        "p99_ns": told.get("p99_latency_ns"),
        "p999_ns": told.get("p999_latency_ns"),
        "throughput_per_s": next((told[name] for name in THROUGHPUT if name in told), None),
        "n": told.get("queries", told.get("samples", 0)),
    }


def objections(result: Result) -> tuple[str, ...]:
    found = result.loadgen
    if found is None or found.valid:
        return ()
    return (*(f"LoadGen: {reason}" for reason in found.reasons), f"fix: {found.hint}")


def objection(result: Result) -> str:
    """What LoadGen found unsatisfied, and what to do. The result has its advice in full."""
    found = result.loadgen
    if found is None or found.valid:
        return ""
    return "; ".join([*(why for why in found.reasons if why.endswith(": NO")), found.hint]) or found.word
