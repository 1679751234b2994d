"""Accuracy against cost: a plot of latency, energy and memory for each device, with its Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgebench.records.jobs import LATENCY
from edgebench.report.page import chart
from edgebench.report.page.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale
from edgebench.report.page.markup import Html, el
from edgebench.report.written import joined
from edgebench.results import context
from edgebench.results.columns import Criterion
from edgebench.results.context import TestSplit
from edgebench.results.figures import CRITERIA, Row, beside_fastest, split_of

SHAPES = ("circle", "square", "triangle", "diamond")
EXPLAINED = (
    "Up and to the left is better; the dashed line is the Pareto front of what is shown. The area of a mark is the "
    "number of parameters; thin lines are 95 % intervals, dotted lines the limits; a ring marks the chosen one; a "
    "hollow mark was not measured on the device; one with a dashed rim has warnings. Each mark leads to its "
    "measurement. Accuracy is the artifact's own where it was evaluated, else the checkpoint's."
)
LARGEST = 11.0  # radius in pixels of the model with the most parameters


# The x axes, one plot each; less is better on all.
AXES = tuple(criterion for criterion in CRITERIA.values() if criterion.axis)


@dataclass(frozen=True)
class Look:
    """The colour and shape of each row: a colour per name, a shape per runtime, the same in all plots of the page."""

    models: tuple[str, ...]
    runtimes: tuple[str, ...]
    most_parameters_m: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Look:
        most = max((row.parameters_m for row in rows), default=1.0)
        return cls(*(tuple(dict.fromkeys(getattr(r, n) for r in rows)) for n in ("name", "runtime")), most or 1.0)

    def mark(self, row: Row, x: float, y: float) -> Html:
        radius = max(3.5, LARGEST * math.sqrt(row.parameters_m / self.most_parameters_m))
        kind = self.runtimes.index(row.runtime)
        return shape(kind, x, y, radius, hollow=row.evidence != "measured", doubtful=bool(row.warnings))

    def colour(self, row: Row) -> str:
        return chart.colour(self.models.index(row.name))


def shape(index: int, x: float, y: float, r: float, hollow: bool = False, doubtful: bool = False) -> Html:
    """A mark with about the area of a circle of this radius."""
    kind = "mark" + " hollow" * hollow + " doubtful" * doubtful
    name = SHAPES[index % len(SHAPES)]
    if name == "circle":
        return el("circle", cx=x, cy=y, r=f"{r:.1f}", class_=kind)
    if name == "square":
        side = 1.77 * r
        return el(
            "rect", x=f"{x - side / 2:.1f}", y=f"{y - side / 2:.1f}", width=f"{side:.1f}", height=f"{side:.1f}",
            class_=kind,
        )  # fmt: skip
    corners = (
        [(0, -1.55), (1.35, 0.78), (-1.35, 0.78)] if name == "triangle" else [(0, -1.3), (1.2, 0), (0, 1.3), (-1.2, 0)]
    )
    return el("polygon", points=" ".join(f"{x + a * r:.1f},{y + b * r:.1f}" for a, b in corners), class_=kind)


def accuracy(row: Row) -> float | None:
    """The artifact's own accuracy if it was evaluated, else the checkpoint's in torch; None of an adopted model."""
    return row.test_accuracy if row.deployed_accuracy is None else row.deployed_accuracy


def section(numbered: Sequence[tuple[int, Row]], chosen: Sequence[Row], limits: dict[str, float]) -> Html | None:
    """The plots, separate for each device, machine, evidence and test split: one holds only what is comparable."""
    groups: dict[tuple[str, str, tuple[str, ...], TestSplit], list[tuple[int, Row]]] = {}
    heads = context.groups([split_of(row) for _, row in numbered])
    for i, row in numbered:
        if row.status == "ok" and row.scenario == LATENCY and None not in (row.median_ms, accuracy(row)):
            groups.setdefault((row.device, row.evidence, row.machine, heads[split_of(row)]), []).append((i, row))
    if not groups:
        return None
    look = Look.of([row for members in groups.values() for _, row in members])
    parts = []
    several = len(set(heads.values())) > 1
    for (device, evidence, machine, split), members in groups.items():
        batch = min(row.batch for _, row in members)  # times of requests with other batches are not comparable
        members = [(i, row) for i, row in members if row.batch == batch]
        plots = [plot(cost, members, look, chosen, limits) for cost in AXES]
        missing = [cost.axis for cost, made in zip(AXES, plots, strict=True) if made is None]
        note = f"Batch {batch}." + (f" Not measured here: {', '.join(missing)}." if missing else "")
        where, judged = (
            f" on {joined(machine)}" if machine else None,
            f"; accuracy on {split.told}" if several else None,
        )
        parts.append(el("h3", f"{device}, {evidence}", where, judged))
        parts.append(el("div", *plots, class_="plots"))
        parts.append(el("p", note, class_="note"))
    return el(
        "section",
        el("h2", "What accuracy costs", id="pareto-heading"),
        el("p", EXPLAINED, class_="note"),
        chart.legend(look.models, _colour_swatch),
        chart.legend(look.runtimes, _shape_swatch),
        *parts,
        id="pareto", aria_labelledby="pareto-heading",
    )  # fmt: skip


def plot(
    cost: Criterion, members: Sequence[tuple[int, Row]], look: Look, chosen: Sequence[Row], limits: dict[str, float]
) -> Html | None:
    """One plot; None if no cost was measured."""
    points = [(i, row, value) for i, row in members if (value := getattr(row, cost.column.name)) is not None]
    if not points:
        return None
    shares = [s for _, r, _ in points for s in (accuracy(r), r.deployed_low, r.deployed_high) if s is not None]
    x = chart.spanning([value for *_, value in points], LEFT, WIDTH - RIGHT)
    y = chart.spanning(shares, HEIGHT - BOTTOM, TOP, log=False, low=0.0, high=1.005)
    stairs = front([(x(value), y(accuracy(row))) for _, row, value in points], x, y)
    marks = []
    for i, row, value in sorted(points, key=lambda point: -point[1].parameters_m):  # large marks first
        at = (x(value), y(accuracy(row)))
        ring = el("circle", cx=at[0], cy=at[1], r=LARGEST + 5, class_="ring") if row in chosen else None
        parts = (el("title", tip(row)), ring, *_intervals(cost, row, at, x, y), look.mark(row, *at))
        marks.append(el("a", *parts, href=f"#row-{i}", class_=look.colour(row), data_row=i, data_x=at[0], data_y=at[1]))
    best = max((row for _, row, _ in points), key=accuracy)
    described = f"{len(points)} measurements; the most accurate is {best.name} with {accuracy(best):.1%}."
    title = f"Accuracy against {cost.name}"
    drawn = chart.drawing(
        title, f"{described} All are in the table of measurements.",
        chart.axes(x, y, f"{cost.axis} ({cost.column.unit})", "accuracy", show_y=chart.percent),
        _limits(cost, limits, x, y),
        el("path", d=stairs, class_="front", data_ends=f"{y.start} {x.end}"), *marks, interactive=True,
    )  # fmt: skip
    return chart.figure(title, drawn)


def _intervals(cost: Criterion, row: Row, at: tuple[float, float], x: Scale, y: Scale) -> list[Html]:
    """The 95 % intervals of a mark's figures."""
    found = []
    if row.deployed_low is not None:
        ends = (y(row.deployed_low), y(row.deployed_high))
        found.append(el("line", x1=at[0], x2=at[0], y1=ends[0], y2=ends[1], class_="interval"))
    if (interval := cost.column.interval_of(row)) is not None:
        ends = (x(max(x.low, interval[0])), x(min(x.high, interval[1])))
        found.append(el("line", x1=ends[0], x2=ends[1], y1=at[1], y2=at[1], class_="interval"))
    return found


def front(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    """The stairs of the Pareto front in pixels: nothing lies to the left of and above them."""
    path, best = "", math.inf
    for at_x, at_y in sorted(points):
        if at_y < best:
            path += f"H{at_x}V{at_y}" if path else f"M{at_x} {y.start}V{at_y}"
            best = at_y
    return f"{path}H{x.end}"


def tip(row: Row) -> str:
    """The tip of a mark, one line per figure."""
    lines = [
        row.name, f"{row.format} on {row.runtime}, {row.precision_told}, {row.parameters_m:.3g} M parameters",
        f"accuracy {accuracy(row):.1%}" + ("" if row.deployed_accuracy is not None else " (the checkpoint's)"),
        f"median {row.median_ms:.3g} ms" + (f" ± {row.half_width:.1%}" if row.half_width is not None else ""),
    ]  # fmt: skip
    if row.to_fastest is not None and row.standing != "fastest":
        lines.append(f"{beside_fastest(row)} × the fastest of its race")
    for criterion in CRITERIA.values():
        if criterion.tip and (value := getattr(row, criterion.column.name)) is not None:
            lines.append(f"{criterion.tip} {value:.3g} {criterion.column.unit}")
    lines += [f"warnings: {', '.join(row.warnings)}"] * bool(row.warnings)
    return "\n".join(lines)


def _limits(cost: Criterion, limits: dict[str, float], x: Scale, y: Scale) -> Html:
    """The limits of the choice on these axes."""
    parts = []
    least = limits.get(CRITERIA["accuracy"].limit.name)
    if least is not None and y.low <= least <= y.high:
        parts.append(el("line", x1=x.start, x2=x.end, y1=y(least), y2=y(least)))
    most = limits.get(cost.limit.name)
    if most is not None and x.low <= (at := most / cost.factor) <= x.high:
        parts.append(el("line", x1=x(at), x2=x(at), y1=y.start, y2=y.end))
    return el("g", *parts, class_="limit")


def _colour_swatch(index: int) -> Html:
    drawn = el("circle", cx=6, cy=6, r=5, class_="mark")
    return el("svg", drawn, viewBox="0 0 12 12", width=12, height=12, aria_hidden="true", class_=chart.colour(index))


def _shape_swatch(index: int) -> Html:
    drawn = shape(index, 7, 7, 5)
    return el("svg", drawn, viewBox="0 0 14 14", width=14, height=14, aria_hidden="true", class_="plain")
