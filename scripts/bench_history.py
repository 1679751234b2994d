"""How often `edgebench history` is wrong, and how soon it sees a rise: simulated series, looked at after each result.

    python scripts/bench_history.py [SERIES]

Noise: normal, heavy-tailed (Student's t with 3 degrees of freedom), or normal with a correlation of 0.3 between
neighbours; its standard deviation is a share of the median. "shows a change": in one look at a series in which nothing
changes. "fails": the present level is more than 2 % above the lowest, so that `--fail-on slower` ends with 1. "ever":
in any of the looks of 120 days. "days": until a rise that begins on day 30 makes it fail, for a tenth, half and nine
tenths of the series.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from simulated import launch, result

from edgebench.comparing import change_points
from edgebench.comparing.history import CellHistory, of_series
from edgebench.records.result import Result

DAYS, BEGINS = 120, 30


def noise(random: np.random.Generator, n: int, kind: str) -> np.ndarray:
    if kind == "heavy-tailed":
        return random.standard_t(3, n) / np.sqrt(3)
    plain = random.normal(0, 1, n)
    if kind == "correlated":
        for i in range(1, n):
            plain[i] = 0.3 * plain[i - 1] + np.sqrt(1 - 0.3**2) * plain[i]
    return plain


def series(logs: Sequence[float]) -> list[Result]:
    """One result a day."""
    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return [
        result([launch([round(1e7 * np.exp(log))])], created=(start + timedelta(days=i)).isoformat())
        for i, log in enumerate(logs)
    ]


def judged(results: Sequence[Result]) -> CellHistory:
    made = of_series(results)
    assert made
    return made


def first_failure(results: Sequence[Result], begin: int) -> int | None:
    return next((day for day in range(begin, len(results) + 1) if judged(results[:day]).outcome == "slower"), None)


def main(number: int) -> None:
    day = np.arange(DAYS)
    rises: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "a step of 3 %": lambda day: (day >= BEGINS) * np.log(1.03),
        "a step of 5 %": lambda day: (day >= BEGINS) * np.log(1.05),
        "a creep of 1 % a week": lambda day: np.maximum(0, day - BEGINS) * np.log(1.01) / 7,
    }
    for kind in ("normal", "heavy-tailed", "correlated"):
        for n in (8, 30, 90):
            random = np.random.default_rng([n, len(kind)])
            looks = [judged(series(0.01 * noise(random, n, kind))) for _ in range(10 * number)]
            shows = np.mean([bool(look.changes) for look in looks])
            fails = np.mean([look.outcome == "slower" for look in looks])
            print(f"{kind}, 1 %, {n} results: shows a change {shows:.1%}, fails {fails:.1%}", flush=True)
        for deviation in (0.005, 0.01, 0.02):
            random = np.random.default_rng([int(deviation * 1000), len(kind)])
            unchanged = [series(deviation * noise(random, DAYS, kind)) for _ in range(number)]
            ever = np.mean([first_failure(one, 2 * change_points.FEWEST) is not None for one in unchanged])
            print(f"{kind}, {deviation:.1%}, {DAYS} looks at an unchanged series: ever fails {ever:.1%}", flush=True)
            for name, rise in rises.items():
                risen = [series(deviation * noise(random, DAYS, kind) + rise(day)) for _ in range(number)]
                seen = [first_failure(one, BEGINS + 1) for one in risen]
                days = [DAYS if at is None else at - BEGINS for at in seen]
                told = ", ".join(f"{value:.0f}" for value in np.percentile(days, [10, 50, 90]))
                print(f"{kind}, {deviation:.1%}, {name}: days {told}; never {seen.count(None)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
