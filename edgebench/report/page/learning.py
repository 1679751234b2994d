"""Figures from the trainings: accuracy by the number of images, convergence, and the batch size of training."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from edgebench.report.page import accounts, chart, contexts, floors, searches
from edgebench.report.page.chart import ChartPoint
from edgebench.report.page.markup import Html, el
from edgebench.specs import Artifact
from edgebench.training import study


def section(checkpoints: Sequence[Artifact]) -> Html | None:
    """A figure for each setting in which trainings on the same test images differ; None if there is no training."""
    groups = study.by_test_split(study.comparable(checkpoints))
    if not groups:
        return None
    parts: list[Html | None] = []
    for split, compared in groups.items():
        figures = [samples(study.with_several(compared, "subset", "seed")), convergence(compared)]
        figures += batch_sizes(study.with_several(compared, "batch_size"))
        parts.append(el("h3", f"On {split.told}") if len(groups) > 1 else None)
        parts += [contexts.table(compared), floors.table(compared), el("div", *figures, class_="plots")]
        parts += [searches.tables(compared), accounts.section_of(compared)]
    return el(
        "section", el("h2", "How the networks learn", id="learning-heading"), *parts, id="learning",
        aria_labelledby="learning-heading",
    )  # fmt: skip


def samples(checkpoints: Sequence[Artifact]) -> Html | None:
    """Test accuracy against training images: the mean over seeds, with Student's 95 % interval."""
    series: dict[str, list[ChartPoint]] = {}
    for row in study.samples(checkpoints) if checkpoints else []:
        interval = "" if row.low is None else f", 95 % interval {row.low:.1%} to {row.high:.1%}"
        seeds = f"{row.seeds} seed{'s' * (row.seeds > 1)}"
        tip = f"{row.run}\n{row.train_images:,} images: {row.accuracy:.1%}{interval}\n{seeds}"
        series.setdefault(row.run, []).append(
            ChartPoint(x=row.train_images, y=row.accuracy, low=row.low, high=row.high, tip=tip)
        )
    if not series:
        return None
    return chart.lines(
        "Test accuracy by training images", series, "training images", "test accuracy", log_x=True,
        show_x=lambda value: f"{value:,.0f}", show_y=chart.percent, x_ticks=_sizes(series), y_high=1.005,
    )  # fmt: skip


def convergence(checkpoints: Sequence[Artifact]) -> Html:
    """Validation accuracy against epochs."""
    series = {}
    longest = 1
    for name, checkpoint in sorted(zip(study.names(checkpoints), checkpoints, strict=True), key=itemgetter(0)):
        points = [(record["epoch"], record["validation_accuracy"]) for record in study.records(checkpoint)]
        longest = max(longest, *(x for x, _ in points))
        series[name] = [ChartPoint(x=x, y=y, tip=f"{name}\nepoch {x}: {y:.1%}") for x, y in points]
    return chart.lines(
        "Convergence", series, "epoch", "validation accuracy", show_x=lambda value: f"{value:g}",
        show_y=chart.percent, y_high=1.005, x_ticks=range(1, longest + 1, max(1, round(longest / 6))),
    )  # fmt: skip


def batch_sizes(checkpoints: Sequence[Artifact]) -> list[Html]:
    """Training speed and test accuracy against the batch size; a tip tells if a batch did not fit into memory."""
    speed: dict[str, list[ChartPoint]] = {}
    accuracy: dict[str, list[ChartPoint]] = {}
    for row in study.batch_sizes(checkpoints) if checkpoints else []:
        fits = "" if row.fits else "\nin parts: the batch did not fit into memory"
        tip = f"{row.run}\nbatch {row.batch_size}: {row.images_per_s:,.0f} images/s, {row.accuracy:.1%}{fits}"
        speed.setdefault(row.run, []).append(ChartPoint(x=row.batch_size, y=row.images_per_s, tip=tip))
        accuracy.setdefault(row.run, []).append(ChartPoint(x=row.batch_size, y=row.accuracy, tip=tip))
    if not speed:
        return []
    sizes = _sizes(speed)
    return [
        chart.lines(
            "Training speed by batch size", speed, "batch size", "images/s", log_x=True, x_ticks=sizes,
        ),
        chart.lines(
            "Test accuracy by batch size", accuracy, "batch size", "test accuracy", log_x=True, x_ticks=sizes,
            show_y=chart.percent, y_high=1.005,
        ),
    ]  # fmt: skip


def _sizes(series: dict[str, list[ChartPoint]]) -> list[float] | None:
    """The sizes themselves as ticks, as many as there is room for."""
    found = sorted({point.x for points in series.values() for point in points})
    return found if len(found) <= 6 else None
