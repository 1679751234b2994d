"""What the headlines of several scenarios share."""

from __future__ import annotations

from edgebench.records.result import Summary


def median(summary: Summary) -> str:
    """The median and how well it is known: "median 1.234 ms ± 0.8%"."""
    from edgebench.results import stats

    text = "median –" if summary.median_ns is None else f"median {summary.median_ns / 1e6:.3f} ms"
    width = stats.half_width(summary)
    return text if width is None else f"{text} ± {width:.1%}"
