"""Latency and throughput: the distributions of latencies, the batch size at inference, and sustained runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.machine.scenario_registry import find
from edgebench.records.jobs import LATENCY
from edgebench.records.result import Result, SustainedWindow
from edgebench.report.page import chart
from edgebench.report.page.chart import BOTTOM, LEFT, RIGHT, TOP, WIDTH, ChartPoint, Scale
from edgebench.report.page.markup import Html, el, parted, scrolled, table, warned
from edgebench.report.written import MISSING, joined, text
from edgebench.results.columns import significant
from edgebench.results.context import grouped
from edgebench.results.figures import PERCENTILES, Row, split_of

DISTRIBUTIONS, TIMELINES = 24, 6  # this many are drawn; the table has the figures of the others
BINS, STRIP, STRIP_HEIGHT = 96, 480, 34
PANEL = 104  # pixels, the height of one panel of a timeline


@dataclass(frozen=True)
class Distribution:
    """A summary of a result's latencies: shares of the requests in bins of equal width on a logarithmic scale."""

    low_ms: float
    high_ms: float
    shares: tuple[float, ...]
    n: int


def distribution(result: Result) -> Distribution | None:
    """The samples of all launches, each launch with the same weight; None if there are none."""
    launches = [launch.samples.latency_ns for launch in result.launches if launch.samples and launch.samples.latency_ns]
    if not launches:
        return None
    logs = [np.log(np.maximum(1, np.asarray(times, dtype=np.float64)) / 1e6) for times in launches]
    low, high = min(float(log.min()) for log in logs), max(float(log.max()) for log in logs)
    if high - low < 1e-6:
        low, high = low - 0.005, high + 0.005
    counts = sum(np.histogram(log, BINS, (low, high))[0] / len(log) for log in logs) / len(logs)
    return Distribution(math.exp(low), math.exp(high), tuple(counts.tolist()), sum(map(len, launches)))


def distributions(found: Sequence[tuple[int, Row, Distribution]]) -> Html | None:
    """A table with one strip per measurement, on one axis, fastest first; what does another task is below."""
    tasks = grouped([row for _, row, _ in found], split_of).values()
    place = {row: n for n, task in enumerate(tasks) for row in task}
    ordered = sorted(found, key=lambda one: (place[one[1]], one[1].race_median_ms or one[1].median_ms or math.inf))
    if not ordered:
        return None
    shown = ordered[:DISTRIBUTIONS]
    ends = [end for *_, d in shown for end in (d.low_ms, d.high_ms)]
    scale = chart.spanning(ends, 0, STRIP, log=True)
    columns = [c for c in PERCENTILES if not c.optional or any(getattr(row, c.name) is not None for _, row, _ in shown)]
    headings = [*(column.heading for column in columns), "requests"]
    lines = []
    for i, row, spread in shown:
        name = el("a", parted(row.name), el("small", described(row), warned(row)), href=f"#row-{i}")
        cells = [el("td", _strip(row, spread, scale), class_="strip", role="cell")]
        figures = [*(text(column, getattr(row, column.name)) for column in columns), f"{spread.n:,}"]
        cells += [
            el("td", told, class_="n", data_label=h, role="cell") for h, told in zip(headings, figures, strict=True)
        ]
        lines.append(el("tr", el("th", name, scope="row", role="rowheader"), *cells, data_row=i, role="row"))
    told = el("span", "distribution on a logarithmic scale of milliseconds", class_="hidden")
    ruler = el("th", told, _ruler(scale), scope="col")
    head = [el("th", "measurement", scope="col"), ruler, *(el("th", h, scope="col", class_="n") for h in headings)]
    note = " Those of other test images or another adopted model are below, in their own order." * (len(tasks) > 1)
    if len(ordered) > len(shown):
        note += f" {f'The fastest {len(shown)}' if len(tasks) == 1 else len(shown)} of {len(ordered)} are drawn."
    drawn = el(  # the roles stay where a phone's style takes the table apart
        "table", el("caption", "Latency distributions", class_="hidden"), el("thead", el("tr", *head)),
        el("tbody", *lines, role="rowgroup"), class_="spread", role="table",
    )  # fmt: skip
    return el(
        "section",
        el("h2", "How latency spreads", id="latency-heading"),
        el(
            "p", "How often each latency occurred: every request of every launch, on one logarithmic scale, each "
            f"launch with the same weight. The tall line is the median, the shorter ones p90 and p99.{note}",
            class_="note",
        ),
        scrolled(drawn, "Table of latency distributions"),
        id="latency", aria_labelledby="latency-heading",
    )  # fmt: skip


def described(row: Row) -> str:
    """The part of a row that stands under the model's name."""
    parts = [row.format, row.runtime, row.precision_told]
    parts += [row.scenario] * (row.scenario != LATENCY) + [f"batch {row.batch}"] * (row.batch > 1)
    return " · ".join([*parts, *[row.device] * (row.evidence != "measured")])


def _ruler(scale: Scale) -> Html:
    marks = []
    for n, value in enumerate(scale.ticks(7)):
        at, unit = scale(value), "" if n else " ms"
        marks.append(el("line", x1=at, x2=at, y1=14, y2=20, class_="axis"))
        marks.append(el("text", f"{chart.number(value)}{unit}", x=at, y=10, text_anchor="middle"))
    return el("svg", *marks, viewBox=f"0 0 {STRIP} 20", width=STRIP, height=20, class_="chart", aria_hidden="true")


def _strip(row: Row, spread: Distribution, scale: Scale) -> Html:
    """The outline of a histogram; its highest bin is as high as the strip."""
    base, tall = STRIP_HEIGHT - 2, max(spread.shares) or 1.0
    edges = np.exp(np.linspace(math.log(spread.low_ms), math.log(spread.high_ms), len(spread.shares) + 1))
    path = f"M{scale(edges[0])} {base}"
    for share, right in zip(spread.shares, edges[1:], strict=True):
        path += f"V{base - share / tall * (base - 4):.1f}H{scale(right)}"
    parts = [el("path", d=f"{path}V{base}Z", class_="hill")]
    for column in PERCENTILES:
        if (value := getattr(row, column.name)) is not None:
            top = 0 if column.percentile == 0.5 else 12
            parts.append(el("line", x1=scale(value), x2=scale(value), y1=top, y2=base, class_="quantile"))
    title = f"from {_ms(spread.low_ms)} to {_ms(spread.high_ms)} ms"
    return el(
        "svg", el("title", title), *parts, viewBox=f"0 0 {STRIP} {STRIP_HEIGHT}", width=STRIP, height=STRIP_HEIGHT,
        role="img", aria_label=title, class_="chart",
    )  # fmt: skip


def batches(numbered: Sequence[tuple[int, Row]], results: dict[int, Result]) -> Html | None:
    """Images per second against the batch: measurements that differ in nothing else, and the points of searches."""
    found: dict[tuple[str, ...], dict[int, float]] = {}
    for i, row in numbered:
        searched = find(row.scenario).searches
        if row.status != "ok" or row.throughput_per_s is None or not (searched or row.scenario == LATENCY):
            continue
        threads = f"{row.threads} thr." if row.threads else ""
        flight = "the best number in flight" if searched else "one request at a time"
        key = (
            row.name,
            f"{row.format} on {row.runtime}",
            row.precision_told,
            threads,
            row.device,
            joined(row.machine),
            flight,
        )
        tried = [(p.batch, p.throughput_per_s) for p in (results[i].search if searched and i in results else ())]
        best = found.setdefault(key, {})
        for batch, speed in [(row.batch, row.throughput_per_s), *tried]:
            if speed is not None:
                best[batch] = max(speed, best.get(batch, 0.0))
    found = {key: speeds for key, speeds in found.items() if len(speeds) > 1}
    if not found:
        return None
    series = {
        name: [ChartPoint(x=b, y=s, tip=f"{name}\nbatch {b}: {s:,.1f} images/s") for b, s in sorted(speeds.items())]
        for name, speeds in zip(chart.distinct(list(found)), found.values(), strict=True)
    }
    sizes = sorted({batch for speeds in found.values() for batch in speeds})
    drawn = chart.lines(
        "Throughput by batch size", series, "images a request", "images/s", log_x=True,
        x_ticks=sizes if len(sizes) <= 8 else None,
    )  # fmt: skip
    return el(
        "section", el("h2", "Batch size at inference", id="batch-heading"), el("div", drawn, class_="plots"),
        id="batch", aria_labelledby="batch-heading",
    )  # fmt: skip


def timelines(sustained: Sequence[tuple[int, Row, Result]]) -> Html | None:
    """A figure for each sustained run: latency, and the state of the machine."""
    figures = [_timeline(row, windows) for _, row, result in sustained[:TIMELINES] if (windows := _windows(result))]
    if not figures:
        return None
    note = f"{TIMELINES} of {len(sustained)} runs are drawn." if len(sustained) > TIMELINES else None
    return el(
        "section",
        el("h2", "Under sustained load", id="sustained-heading"),
        el("p", note, class_="note") if note else None,
        el("div", *figures, class_="plots"),
        id="sustained", aria_labelledby="sustained-heading",
    )  # fmt: skip


def _windows(result: Result) -> tuple[SustainedWindow, ...]:
    return next((launch.windows for launch in result.launches if launch.windows), ())


def _timeline(row: Row, windows: Sequence[SustainedWindow]) -> Html:
    told = {
        "latency (ms)": [(w.start_s, w.median_ns / 1e6) for w in windows],
        "clock (MHz)": [(w.start_s, w.mhz) for w in windows if w.mhz is not None],
        "hottest (°C)": [(w.start_s, w.temperature_c) for w in windows if w.temperature_c is not None],
        "power (W)": [(w.start_s, w.power_mw / 1000) for w in windows if w.power_mw is not None],
    }
    panels = {label: points for label, points in told.items() if points}
    height = TOP + PANEL * len(panels) + BOTTOM - 14
    step_s = windows[-1].start_s / max(1, len(windows) - 1)
    x = chart.spanning([0.0, windows[-1].start_s + step_s], LEFT, WIDTH - RIGHT, log=False, low=0.0)
    throttled = [
        el("rect", x=x(w.start_s), width=f"{x(step_s) - x(0):.1f}", y=TOP, height=PANEL * len(panels) - 14)
        for w in windows if w.throttled
    ]  # fmt: skip
    parts = [el("g", *throttled, class_="throttled")]
    for n, (label, points) in enumerate(panels.items()):
        top = TOP + n * PANEL
        y = chart.spanning([value for _, value in points], top + PANEL - 14, top, log=False, low=0.0)
        parts.append(chart.axes(x, y, "time (s)" if n == len(panels) - 1 else "", label))
        parts.append(
            chart.line(n, [ChartPoint(x=at, y=value, tip=f"{at:.0f} s: {value:,.4g}") for at, value in points], x, y)
        )
    title = ", ".join([row.name, f"{row.format} on {row.runtime}", row.precision_told, row.device])
    notes = [f"Verdict: {row.verdict}."] * bool(row.verdict) + ["Shaded: the machine throttled."] * bool(throttled)
    missing = [label.split(" (")[0] for label in told if label not in panels]
    note = " ".join([*notes, *[f"Not read here: {', '.join(missing)}."] * bool(missing)])
    columns = ["start (s)", "median (ms)", "max (ms)", "clock (MHz)", "hottest (°C)", "power (W)", "throttled"]
    lines = []
    for w in windows:
        clock, heat = (MISSING if v is None else f"{v:,.0f}" for v in (w.mhz, w.temperature_c))
        power = MISSING if w.power_mw is None else f"{w.power_mw / 1000:.2f}"
        throttling = "yes" if w.throttled else "no"
        lines.append([f"{w.start_s:.0f}", _ms(w.median_ns / 1e6), _ms(w.max_ns / 1e6), clock, heat, power, throttling])
    return chart.figure(
        title,
        chart.drawing(f"Sustained run of {title}", note, *parts, height=height),
        el("p", note, class_="note"),
        el("details", el("summary", "The figures as a table"), table(title, columns, lines)),
    )


def _ms(value: float) -> str:
    """A value as the table shows it."""
    return significant(value, 3)
