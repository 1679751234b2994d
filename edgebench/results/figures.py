"""The figures of a report's row that a choice looks at, each with its interval, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edgebench.results.rows import Row
from edgebench.results.stats import min_samples

# Runs of one thing differ by up to 30 % on a shared machine, so a median without an interval is known no better.
UNSURE = 0.3
MEASURE_POWER = "edgebench run --power auto, where a meter works (edgebench power)"


@dataclass(frozen=True)
class Figure:
    """What is known of one row in one respect: a value and its 95 % interval; or None, the reason and what to do."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    fix: str = ""

    def overlaps(self, other: Figure) -> bool:
        """Whether the two intervals overlap, so that neither is known to be the better; an exact value is its own."""
        low, high = self._interval()
        other_low, other_high = other._interval()
        return low <= other_high and other_low <= high

    def holds(self, bound: float) -> bool:
        """Whether the interval holds the bound, so that it is not sure on which side of it the truth is."""
        return self.low is not None and self.low <= bound <= self.high

    def _interval(self) -> tuple[float, float]:
        return (self.value, self.value) if self.low is None else (self.low, self.high)


@dataclass(frozen=True)
class Metric:
    """One respect in which rows are judged. `limit` names the field of Limits; `sign`: 1 if less is better, else -1."""

    name: str
    unit: str
    limit: str
    sign: int
    read: Callable[[Row], Figure]

    def better(self, value: float, than: float) -> bool:
        return self.sign * value < self.sign * than


def _p99(row: Row) -> Figure:
    if row.p99_ms is not None:
        return Figure(row.p99_ms)
    needed = min_samples(0.99)
    if 0 < row.requests < needed:
        return Figure(
            None, reason=f"p99 takes {needed} requests, {row.requests} were made",
            fix="edgebench run with a longer --duration or more --launches",
        )  # fmt: skip
    return Figure(None, reason="p99 was not measured", fix="edgebench run")


def _median(row: Row) -> Figure:
    if row.median_ms is None:
        return Figure(None, reason="the median was not measured", fix="edgebench run")
    if row.median_low_ms is None:
        return Figure(row.median_ms, row.median_ms / (1 + UNSURE), row.median_ms * (1 + UNSURE))
    return Figure(row.median_ms, row.median_low_ms, row.median_high_ms)


def _throughput(row: Row) -> Figure:
    return _known(row.throughput_per_s) or Figure(None, reason="throughput was not measured", fix="edgebench run")


def _memory(row: Row) -> Figure:
    # a discrete GPU has memory of its own; what the limit is about is the process's
    reason, fix = "peak memory could not be read there", "see memory.reason in the result"
    return _known(row.peak_memory_mib, 2**20 / 1e6) or Figure(None, reason=reason, fix=fix)


def _size(row: Row) -> Figure:
    reason, fix = "the artifact does not tell its size", "edgebench export anew"
    return _known(row.model_size_mib, 2**20 / 1e6) or Figure(None, reason=reason, fix=fix)


def _accuracy(row: Row) -> Figure:
    if row.deployed_accuracy is not None:
        return Figure(row.deployed_accuracy, row.deployed_low, row.deployed_high)
    return Figure(
        None, reason=f"only the checkpoint's {row.test_accuracy:.1%} in torch is known, not this artifact's own on "
        f"{row.runtime}", fix="edgebench evaluate",
    )  # fmt: skip


def _power(row: Row) -> Figure:
    reason = row.power_reason or "power was not measured"
    return _known(row.mean_power_w) or Figure(None, reason=reason, fix=MEASURE_POWER)


def _energy(row: Row) -> Figure:
    reason = row.power_reason or "energy was not measured"
    return _known(row.energy_mj) or Figure(None, reason=reason, fix=MEASURE_POWER)


def _known(value: float | None, factor: float = 1.0) -> Figure | None:
    return None if value is None else Figure(value * factor)


METRICS = {
    metric.name: metric
    for metric in (
        Metric("latency", "ms", "max_median_ms", 1, _median),
        Metric("p99", "ms", "max_p99_ms", 1, _p99),
        Metric("accuracy", "", "min_accuracy", -1, _accuracy),
        Metric("energy", "mJ", "max_energy_mj", 1, _energy),
        Metric("power", "W", "max_power_w", 1, _power),
        Metric("memory", "MB", "max_memory_mb", 1, _memory),
        Metric("size", "MB", "max_size_mb", 1, _size),
        Metric("throughput", "images/s", "min_images_per_s", -1, _throughput),
    )
}


def show(metric: Metric, value: float) -> str:
    """A value with its unit, to three digits: "12.3 ms", "94.1 %"."""
    if metric.name == "accuracy":
        return f"{value:.1%}".replace("%", " %")
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{min(digits, 6)}f} {metric.unit}"
