"""The parts of every plot of the page: scales, ticks, axes, line charts and legends, as static SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgebench.report.page.markup import Html, el, join, table

WIDTH, HEIGHT = 420, 290
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 42
SERIES = 14  # nobody can read more lines in one plot
COLOURS, DASHES = 7, ("", "6 3", "2 3", "8 3 2 3")
MARKED = 16  # a line with at most so many points has a mark on each


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values from `low` to `high`, linear or logarithmic, to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self, most: int = 6) -> list[float]:
        """A few round values within the scale."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for digits in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
                found = [d * 10.0**e for e in decades for d in digits if self.low <= d * 10.0**e <= self.high]
                if len(found) <= most:
                    break
            if len(found) > 1:
                return found[:: math.ceil(len(found) / most)]
        step = 10 ** math.floor(math.log10((self.high - self.low) / most))
        step = next(step * m for m in (1, 2, 5, 10, 20) if (self.high - self.low) / (step * m) <= most)
        first = math.ceil(self.low / step - 1e-9)
        return [round(n * step, 12) for n in range(first, math.floor(self.high / step + 1e-9) + 1)]


def distinct(parts: Sequence[Sequence[str]]) -> list[str]:
    """A name for each of several things: its first part, and the other parts in which they differ."""
    telling = [n for n in range(1, len(parts[0])) if len({each[n] for each in parts}) > 1] if parts else []
    return [", ".join([each[0], *(each[n] for n in telling if each[n])]) for each in parts]


def spanning(
    values: Iterable[float], start: float, end: float, *, log: bool | None = None, low: float | None = None,
    high: float | None = None,
) -> Scale:  # fmt: skip
    """A scale that holds the values with a margin, within `low` and `high` if given.

    If `log` is not given, the scale is logarithmic if the values are far apart.
    """
    known = [value for value in values if math.isfinite(value)]
    least, most = min(known, default=0.0), max(known, default=1.0)
    log = least > 0 and (log if log is not None else most / least > 8)
    if log:
        margin = max((most / least) ** 0.07, 1.05)
        return Scale(low=least / margin, high=most * margin, start=start, end=end, log=True)
    margin = (most - least) * 0.07 or abs(most) * 0.1 or 1.0
    least, most = least - margin, most + margin
    least, most = (least if low is None else max(low, least)), (most if high is None else min(high, most))
    return Scale(low=least, high=most if most > least else least + 1, start=start, end=end)


def number(value: float) -> str:
    """A tick in as few digits as it needs."""
    return f"{value:,.6f}".rstrip("0").rstrip(".") if abs(value) < 1000 else f"{value:,.0f}"


def percent(value: float) -> str:
    return f"{100 * value:.4g} %"


def axes(
    x: Scale, y: Scale, x_label: str, y_label: str, *, show_x: Callable[[float], str] = number,
    show_y: Callable[[float], str] = number, x_ticks: Sequence[float] | None = None,
) -> Html:  # fmt: skip
    """Grid, ticks and labels. With an empty `x_label` there is no x axis, as in a panel above another one."""
    parts = []
    for value in y.ticks(5):
        at = y(value)
        parts += [el("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="grid")]
        parts += [el("text", show_y(value), x=x.start - 6, y=at, dy="0.32em", text_anchor="end")]
    for value in x_ticks or x.ticks():
        at = x(value)
        parts += [el("line", x1=at, x2=at, y1=y.start, y2=y.start + 4, class_="axis")]
        parts += [el("text", show_x(value), x=at, y=y.start + 16, text_anchor="middle")] if x_label else []
    parts += [el("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis")]
    if x_label:
        log = " (log scale)" if x.log else ""
        middle = (x.start + x.end) / 2
        parts += [el("text", x_label + log, x=middle, y=y.start + 35, text_anchor="middle", class_="label")]
    turned = f"translate(11 {(y.start + y.end) / 2}) rotate(-90)"
    return join([*parts, el("text", y_label, transform=turned, text_anchor="middle", class_="label")])


def drawing(title: str, description: str, *parts: object, height: float = HEIGHT, interactive: bool = False) -> Html:
    """An SVG picture with its name and, for readers who cannot see it, a description."""
    return el(
        "svg", el("title", title), el("desc", description), *parts, viewBox=f"0 0 {WIDTH} {height:g}",
        role="group" if interactive else "img", aria_label=f"{title}. {description}", class_="chart",
    )  # fmt: skip


def figure(title: str, *parts: object) -> Html:
    return el("figure", el("figcaption", title), *parts)


def legend(labels: Iterable[str], swatch: Callable[[int], Html]) -> Html:
    items = [el("li", swatch(i), el("span", label)) for i, label in enumerate(labels)]
    return el("ul", *items, class_="legend")


@dataclass(frozen=True, kw_only=True)
class ChartPoint:
    """A point of a line, its interval if it has one, and the text of its tip."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    tip: str = ""


def lines(
    title: str, series: Mapping[str, Sequence[ChartPoint]], x_label: str, y_label: str, *, log_x: bool = False,
    show_x: Callable[[float], str] = number, show_y: Callable[[float], str] = number,
    x_ticks: Sequence[float] | None = None, y_high: float | None = None, y_low: float | None = 0.0,
) -> Html:  # fmt: skip
    """A figure with one line per series, its legend, and all its points as a folded table."""
    drawn = dict(list(series.items())[:SERIES])
    points = [point for line in drawn.values() for point in line]
    tall = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    x = spanning([p.x for p in points], LEFT, WIDTH - RIGHT, log=log_x)
    y = spanning(tall, HEIGHT - BOTTOM, TOP, log=False, low=y_low, high=y_high)
    parts = [axes(x, y, x_label, y_label, show_x=show_x, show_y=show_y, x_ticks=x_ticks)]
    parts += [line(i, points, x, y) for i, points in enumerate(drawn.values())]
    few = f" {len(series) - SERIES} more are in the table." if len(series) > SERIES else ""
    description = f"{y_label} against {x_label}, {len(drawn)} line{'s' * (len(drawn) != 1)}.{few}"
    head = ["line", x_label, y_label] + ["95 % interval"] * any(p.low is not None for p in points)
    told = []
    for name, line_points in series.items():
        for p in line_points:
            interval = "–" if p.low is None else f"{show_y(p.low)} to {show_y(p.high)}"
            told.append([name, show_x(p.x), show_y(p.y), interval][: len(head)])
    return figure(
        title, drawing(title, description, *parts), legend(drawn, swatch), el("p", few, class_="note") if few else None,
        el("details", el("summary", "The figures as a table"), table(title, head, told)),
    )  # fmt: skip


def line(index: int, points: Sequence[ChartPoint], x: Scale, y: Scale) -> Html:
    """One line of a chart with its intervals and, if it has few points, a mark on each."""
    points = sorted(points, key=lambda p: p.x)
    path = "M" + "L".join(f"{x(p.x)} {y(p.y)}" for p in points)
    parts = [el("path", d=path, class_="line", stroke_dasharray=dashes(index))]
    for p in points:
        if p.low is not None:
            parts.append(el("line", x1=x(p.x), x2=x(p.x), y1=y(p.low), y2=y(p.high), class_="interval"))
        if len(points) <= MARKED:
            parts.append(el("circle", el("title", p.tip), cx=x(p.x), cy=y(p.y), r=3.5, class_="mark"))
    return el("g", *parts, class_=colour(index))


def colour(index: int) -> str:
    """The CSS classes of a series. When the colours repeat, the marks of every second round have a dark rim."""
    return f"c{index % COLOURS}" + (" again" if index // COLOURS % 2 else "")


def dashes(index: int) -> str | None:
    return DASHES[index // COLOURS % len(DASHES)] or None


def swatch(index: int) -> Html:
    """The sample of a line in the legend."""
    drawn = el("line", x1=0, x2=22, y1=6, y2=6, class_="line", stroke_dasharray=dashes(index))
    return el("svg", drawn, viewBox="0 0 22 12", width=22, height=12, aria_hidden="true", class_=colour(index))
