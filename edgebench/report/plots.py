"""Plots of trainings for people: PNG files by matplotlib, drawn without a screen."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import Unsupported
from edgebench.records.terminal import printable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of Okabe & Ito, "Color Universal Design", 2008, which colour-blind readers can tell apart, without their
# yellow, which is pale on white. Their number equals that of the markers and differs from that of the dashes, so that
# combinations of all three repeat late and a print in grey is readable.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
STYLE = {
    "font.size": 11, "axes.titlesize": 12, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "lines.linewidth": 1.8, "lines.markersize": 6,
    "legend.frameon": False, "text.parse_math": False,  # a name may hold "$" and "_"
}  # fmt: skip
RING = {
    "marker": "o", "markersize": 14, "markerfacecolor": "none", "markeredgecolor": "#000000", "markeredgewidth": 1.5,
    "linestyle": "",
}  # fmt: skip
CROSS = {"marker": "x", "markersize": 8, "markeredgewidth": 2, "linestyle": ""}
MARKED_POINTS = 12  # the colour and dashes of a longer line identify it
LABEL_LENGTH = 60


def convergence(histories: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> None:
    """Validation accuracy and training loss against epochs and against seconds, one line per label."""
    with _figure(path, rows=2, columns=2, size=(11, 7.5)) as (figure, axes):
        handles = []
        for (label, records), style in zip(histories.items(), _styles(len(histories)), strict=True):
            style = style if len(records) <= MARKED_POINTS else style | {"marker": ""}
            for row, (name, factor) in zip(axes, (("validation_accuracy", 100), ("loss", 1)), strict=True):
                values = [_value(record, name) * factor for record in records]
                for axis, against in zip(row, ("epoch", "seconds"), strict=True):
                    (line,) = axis.plot([_value(r, against) for r in records], values, label=_text(label), **style)
            handles.append(line)
        for column, (by, unit) in enumerate((("epoch", "epoch"), ("time", "training time (s)"))):
            _name(axes[0][column], f"Validation accuracy by {by}", unit, "validation accuracy (%)")
            _name(axes[1][column], f"Training loss by {by}", unit, "training loss")
        for row in axes:
            row[0].xaxis.get_major_locator().set_params(integer=True)
        _legend(figure, handles)


def accuracy_by_samples(curves: Mapping[str, Sequence[tuple[int, float, float, float, int]]], path: Path) -> None:
    """Test accuracy against the number of training images (logarithmic), with intervals, one line per model.

    `curves` maps a model to its points (images, mean, low, high, seeds): the mean accuracy over this many seeds and its
    95 % interval, shares in [0, 1].
    """
    with _figure(path, size=(8.5, 6)) as (figure, ((axis,),)):
        handles = []
        for (model, points), style in zip(curves.items(), _styles(len(curves)), strict=True):
            images, mean, low, high, seeds = zip(*sorted(points), strict=True)
            mean, low, high = ([100 * share for share in shares] for shares in (mean, low, high))
            few, many = min(seeds), max(seeds)
            said = f"{few}–{many} seeds" if few < many else f"{few} seed" + "s" * (few > 1)
            (line,) = axis.plot(images, mean, label=f"{_text(model)} ({said})", **style)
            axis.fill_between(images, low, high, color=style["color"], alpha=0.15, linewidth=0)
            axis.vlines(images, low, high, color=style["color"], linewidth=1.2)
            handles.append(line)
        _log_sizes(axis, {point[0] for points in curves.values() for point in points})
        title = "Test accuracy by number of training images: mean over seeds, 95 % interval"
        _name(axis, title, "training images (log scale)", "test accuracy (%)")
        _legend(figure, handles)


def batch_size(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Training speed and accuracy against batch size. A ring marks the largest batch that fits into memory.

    A row holds `batch_size`, `fits` (into memory), `images_per_s` and `accuracy` (a share in [0, 1]); the last two are
    None if they were not measured. It also has `model` if there are several.
    """
    from matplotlib.lines import Line2D

    models = list(dict.fromkeys(str(row.get("model", "")) for row in rows))
    with _figure(path, columns=2, size=(11, 5)) as (figure, (axes,)):
        handles = []
        for number, (model, style) in enumerate(zip(models, _styles(len(models)), strict=True)):
            mine = sorted((r for r in rows if str(r.get("model", "")) == model), key=lambda row: row["batch_size"])
            fitting = [row for row in mine if row["fits"]]
            failed = [row["batch_size"] for row in mine if not row["fits"]]
            for axis, (name, factor) in zip(axes, (("images_per_s", 1), ("accuracy", 100)), strict=True):
                values = [_value(row, name) * factor for row in fitting]
                axis.plot([row["batch_size"] for row in fitting], values, **style)
                axis.plot([row["batch_size"] for row in fitting[-1:]], values[-1:], **RING)
                height = [0.03 + 0.05 * number] * len(failed)  # a row of crosses above the axis for each model
                axis.plot(failed, height, transform=axis.get_xaxis_transform(), color=style["color"], **CROSS)
            if model:
                handles.append(Line2D([], [], label=_text(model), **style))
        for axis, title, unit in zip(axes, ("Training speed", "Accuracy"), ("images/s", "accuracy (%)"), strict=True):
            axis.margins(y=0.08 + 0.05 * len(models))
            _log_sizes(axis, {row["batch_size"] for row in rows})
            _name(axis, f"{title} by batch size", "batch size (log scale)", unit)
        axes[0].set_ylim(bottom=0)
        if any(row["fits"] for row in rows):
            handles.append(Line2D([], [], label="largest batch that fits", **RING))
        if not all(row["fits"] for row in rows):
            handles.append(Line2D([], [], label="does not fit", color="#777777", **CROSS))
        _legend(figure, handles)


@contextmanager
def _figure(
    path: Path, rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 5)
) -> Iterator[tuple[Figure, list[list[Axes]]]]:
    """A figure of `size` inches with its axes by row and column, saved as `path` at the end of the block."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Unsupported(f"matplotlib does not load: {error}", "pip install 'edgebench[plot]'") from None

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own style must not hide a line
        matplotlib.rcParams.update(STYLE)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False)
        yield figure, axes.tolist()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", dpi=150)


def _styles(count: int) -> Iterator[dict[str, str]]:
    kinds = zip(cycle(COLOURS), cycle(MARKERS), cycle(DASHES), strict=False)
    return islice(({"color": c, "marker": m, "linestyle": d} for c, m, d in kinds), count)


def _value(record: Mapping[str, Any], name: str) -> float:
    value = record.get(name)
    return math.nan if value is None else float(value)


def _name(axis: Axes, title: str, x: str, y: str) -> None:
    """Title and labels. An axis without figures says so, and an axis of percentages stays within them."""
    axis.set_title(title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    in_data = [line for line in axis.lines if line.get_transform().contains_branch(axis.transData)]
    if not any(math.isfinite(value) for line in in_data for value in line.get_ydata()):
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", color="#777777")
        axis.set_yticks([])
    elif y.endswith("(%)"):
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, -1), min(high, 101))


def _log_sizes(axis: Axes, sizes: Collection[int]) -> None:
    """A logarithmic axis whose ticks are the sizes themselves, as many as there is room for."""
    axis.set_xscale("log")
    ticks: list[int] = []
    room = (max(sizes) / min(sizes)) ** 0.07
    for size in sorted(sizes):
        if not ticks or size > ticks[-1] * room:
            ticks.append(size)
    axis.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axis.set_xticks([], minor=True)
    axis.set_xlim(min(sizes) / max(room, 1.15), max(sizes) * max(room, 1.15))


def _legend(figure: Figure, handles: Sequence[Artist]) -> None:
    longest = max((len(handle.get_label()) for handle in handles), default=0)
    columns = 1 if longest > 50 else 2 if longest > 30 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=min(columns, max(1, len(handles))))


def _text(name: str) -> str:
    """Names come from outside: one short line, without control characters."""
    name = printable(name).replace("\n", " ")
    name = name if len(name) <= LABEL_LENGTH else f"{name[: LABEL_LENGTH - 1]}…"
    # matplotlib before 3.10 leaves "_name" out of the legend.
    return f" {name}" if name.startswith("_") else name
