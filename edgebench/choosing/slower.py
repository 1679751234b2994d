"""Passes over artifacts of lower precision that are slower than the same network in fp32 on the same runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgebench.choosing.decision import Candidate
from edgebench.results.columns import Known
from edgebench.results.figures import CRITERIA, Row

SPEEDS = ("latency", "throughput")


def passed_over(judged: Sequence[Candidate], figures: Sequence[dict[str, Known]]) -> list[Candidate]:
    """The candidates; those that fit but are slower than fp32, as "slower".

    What is measured of both decides. Where fp32 was not measured, the notice does that says what the export found.
    """
    fp32 = {}
    for candidate, known in zip(judged, figures, strict=True):
        if candidate.row.precision == "fp32" and candidate.outcome == "fits":  # one that does not fit is no alternative
            fp32.setdefault(_setting(candidate.row), []).append((candidate.row, known))
    return [
        replace(candidate, outcome="slower", reason=why)
        if candidate.outcome == "fits" and (why := _slower(candidate.row, known, fp32.get(_setting(candidate.row), [])))
        else candidate
        for candidate, known in zip(judged, figures, strict=True)
    ]


def _setting(row: Row) -> tuple:
    return row.network, row.runtime, row.compute, row.threads, row.batch, row.streams, row.power_mode


def _slower(row: Row, known: dict[str, Known], fp32: Sequence[tuple[Row, dict[str, Known]]]) -> str:
    """Why it is slower than fp32 for certain; empty if it is not, or is fp32 itself."""
    if row.precision == "fp32":
        return ""
    compared = False
    for other, figures in fp32:
        for name in SPEEDS:
            mine, theirs = known.get(name), figures.get(name)
            if mine is None or theirs is None or None in (mine.value, theirs.value):
                continue
            compared = True
            criterion = CRITERIA[name]
            if criterion.is_better(theirs.value, than=mine.value) and not mine.overlaps(theirs):
                shown = f"{criterion.show(mine.value)}, {other.format} in fp32 has {criterion.show(theirs.value)}"
                return f"slower than fp32 on this runtime: {name} {shown}"
            break
    if not compared and "slower_than_fp32" in row.warnings:
        return "slower than fp32 on this runtime, as its export found"
    return ""
