"""Reads what MLPerf's LoadGen writes: its summary's verdict, reasons and figures, its detail log's errors."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from edgebench.errors import EdgebenchError

FIGURES = {
    "Samples per second": "samples_per_s",
    "Completed samples per second": "completed_samples_per_s",
    "Scheduled samples per second": "scheduled_samples_per_s",
    "QPS w/ loadgen overhead": "queries_per_s",
    "Min latency (ns)": "min_latency_ns",
    "Max latency (ns)": "max_latency_ns",
    "Mean latency (ns)": "mean_latency_ns",
}


@dataclass(frozen=True)
class Parsed:
    """What LoadGen's summary says."""

    valid: bool
    reasons: tuple[str, ...]
    figures: dict[str, float]


def parse(summary: str) -> Parsed:
    """Read LoadGen's summary. Raises EdgebenchError for a text without a verdict.

    Offline's latencies count from the moment at which all samples were sent, so they are not figures of the model.
    """
    if not (verdict := re.search(r"^Result is : (VALID|INVALID)\s*$", summary, re.MULTILINE)):
        raise EdgebenchError(
            "LoadGen's summary has no verdict", "see the log in the result; reinstall mlcommons-loadgen"
        )
    figures = {}
    for line in summary.splitlines():
        label, _, text = (part.strip() for part in line.strip(" *").rpartition(":"))
        if (name := _figure(label)) and (value := _number(text)) is not None:
            figures[name] = value
    if re.search(r"^Scenario : Offline\s*$", summary, re.MULTILINE):
        figures = {name: value for name, value in figures.items() if not name.endswith("latency_ns")}
    return Parsed(verdict[1] == "VALID", _reasons(summary), figures)


def _figure(label: str) -> str | None:
    if found := re.fullmatch(
        r"(?:(Early stopping) )?(\d+)\.(\d+?)0*(?:th)? percentile (?:latency \(ns\)|estimate)", label
    ):
        share = found[2] + found[3].rstrip("0")
        return f"{'early_stopping_' if found[1] else ''}p{share}_latency_ns"
    return FIGURES.get(label)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _reasons(summary: str) -> tuple[str, ...]:
    """What is not satisfied, then LoadGen's recommendations and, if it did not stop early, what that needs."""
    unmet = re.findall(r"^ +(\S.* satisfied) ?: NO\s*$", summary, re.MULTILINE)
    headings = ["Recommendations:"]
    if "Early stopping satisfied" in unmet:
        headings.append("Early Stopping Result:")
    advice = []
    for heading in headings:
        section = re.search(rf"^{heading}\n((?: .*\n)*)", summary, re.MULTILINE)
        bullets = re.split(r"^ \* ", section[1], flags=re.MULTILINE) if section else []
        advice += [" ".join(bullet.split()) for bullet in bullets]
    return (*(f"{name}: NO" for name in unmet), *(bullet for bullet in advice if bullet))


def read_detail(detail: str) -> tuple[str, tuple[str, ...]]:
    """LoadGen's version and the errors it met, from its detail log: one line of JSON each, after a mark."""
    version, errors = "", []
    for line in detail.splitlines():
        try:
            entry = json.loads(line.removeprefix(":::MLLOG "))
            key, value, wrong = entry["key"], str(entry["value"]), entry["metadata"]["is_error"]
        except (ValueError, KeyError, TypeError):
            continue  # not an entry; the last line may be cut off
        if key == "loadgen_version":
            version = value
        if wrong:
            errors.append(re.sub(r"^IssueQueryThread \d+ ", "", value))
    return version, tuple(errors)
