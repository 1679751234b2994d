"""Trainings as tables and plots: each checkpoint, and the studies of trainings that differ in one setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import UsageError
from edgebench.records.distillation import Distillation
from edgebench.records.floor import VERDICTS
from edgebench.records.terminal import printable
from edgebench.report.formats import MISSING, csv_of, markdown_safe
from edgebench.results import context
from edgebench.specs import Artifact
from edgebench.training import study, studying

if TYPE_CHECKING:
    from rich.table import Table

SHARES = (
    "validation_accuracy", "test_accuracy", "majority_share", "balanced_accuracy", "lowest_recall", "floor_accuracy",
    "accuracy", "low", "high", "reach", "target",
)  # fmt: skip
NEEDED = "images that an accuracy probably takes"
IF_ANY = (  # columns that are shown if any row has one
    "test_split", "majority_share", "balanced_accuracy", "lowest_recall", "lowest_class", "interrupted", "searched",
    "taught_by", "floor_accuracy", "beside_floor", "why",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrainingRow:
    """One line of the table of trainings: one checkpoint. Accuracies are shares in [0, 1].

    `test_split`: the first digits of the hash of the test images; accuracies on others do not compare.
    `searched`: among how many settings a search found its recipe, None if there was none. `taught_by`: the teacher and,
    if there were any, how many unlabelled frames it answered to.
    """

    model: str
    dataset: str
    test_split: str
    image_size: int
    train_images: int
    began_with: str
    taught_by: str
    epochs: int
    best_epoch: int
    batch_size: int
    lr: float | None
    searched: int | None
    seed: int
    validation_accuracy: float
    test_accuracy: float
    majority_share: float | None
    balanced_accuracy: float | None
    lowest_recall: float | None
    lowest_class: str
    floor_accuracy: float | None
    beside_floor: str
    images_per_s: float
    seconds: float
    interrupted: bool
    checkpoint: str
    created: str


def rows(checkpoints: Sequence[Artifact]) -> list[TrainingRow]:
    """A row for each checkpoint, by dataset, model and number of images."""
    made = []
    for checkpoint in checkpoints:
        training = checkpoint.training
        config = training.config
        beside = training.floor.beside if training.floor else None
        began = training.beginning.title if training.beginning else "unknown"
        seen = context.of(training.test_classes)
        made.append(
            TrainingRow(
                model=config.model, dataset=training.data.dataset, test_split=training.data.test_sha256[:8],
                majority_share=seen and seen.majority_share, balanced_accuracy=seen and seen.balanced,
                lowest_recall=seen and seen.worst.share, lowest_class=seen.worst.name if seen else "",
                image_size=checkpoint.preprocessing.height,
                train_images=training.data.train, began_with=f"{began}, head alone" if config.freeze else began,
                taught_by=_teacher(training.distilled), epochs=len(study.records(checkpoint)),
                best_epoch=training.best_epoch, batch_size=config.batch_size, lr=config.lr,
                searched=len(training.search.trials) if training.search else None, seed=config.seed,
                validation_accuracy=training.validation_accuracy, test_accuracy=training.test_accuracy,
                floor_accuracy=beside.floor_accuracy if beside else None,
                beside_floor=beside.verdict if beside else "", images_per_s=study.images_per_s(checkpoint),
                seconds=training.seconds, interrupted=training.interrupted, checkpoint=checkpoint.path.name,
                created=checkpoint.created,
            )
        )  # fmt: skip
    return sorted(
        made, key=lambda row: (row.dataset, row.test_split, row.model, row.train_images, row.seed, row.created)
    )


def _teacher(taught: Distillation | None) -> str:
    if taught is None:
        return ""
    return f"{taught.teacher}, {taught.frames:,} frames" if taught.frames else taught.teacher


def sections(checkpoints: Sequence[Artifact]) -> dict[str, list[Any]]:
    """Title → rows: the trainings, how fast they learn, and the studies that they form together, by test split."""
    made: dict[str, list[Any]] = {"trainings": list(rows(checkpoints))}
    groups = study.by_test_split(study.comparable(checkpoints))
    for split, compared in groups.items():
        of_split = f" on {split.told}" if len(groups) > 1 else ""
        for title, table, of in (
            ("convergence", partial(study.convergence, reach=studying.REACH), compared),
            ("samples", study.samples, study.with_several(compared, "subset", "seed")),
            ("batch size", study.batch_sizes, study.with_several(compared, "batch_size")),
        ):
            if of:
                made[title + of_split] = table(of)
            if title == "samples" and (
                told := [row for row in study.images_needed(of, studying.TARGETS) if row.images]
            ):
                made[NEEDED + of_split] = told
    return made


def terminal(rows: Sequence[Any], title: str = "") -> Table:
    """Dataclasses of one kind as a rich table, one column per field."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", header_style="bold", pad_edge=False)
    for field in _shown(rows):
        text = all(isinstance(getattr(row, field), str) for row in rows)
        table.add_column(field.replace("_", " "), justify="left" if text else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(_cell(field, getattr(row, field)))) for field in _shown(rows)))
    return table


def markdown(sections: dict[str, list[Any]]) -> str:
    """A Markdown table under a heading for each section."""
    parts = []
    for title, found in sections.items():
        fields = _shown(found)
        lines = [[field.replace("_", " ") for field in fields], ["---"] * len(fields)]
        lines += [[markdown_safe(_cell(field, getattr(row, field))) for field in fields] for row in found]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"## {title[0].upper()}{title[1:]}\n\n{table}\n")
    return "\n".join(parts)


def as_csv(rows: Sequence[TrainingRow]) -> str:
    """The checkpoints, unrounded."""
    return csv_of(map(vars, rows), [field.name for field in dataclasses.fields(TrainingRow)])


def plot_convergence(checkpoints: Sequence[Artifact], path: Path) -> None:
    """Accuracy and loss of each training by epoch and by time, as a PNG file."""
    from edgebench.report import plots

    plots.convergence(dict(zip(study.names(checkpoints), map(study.records, checkpoints), strict=True)), path)


def plot_samples(checkpoints: Sequence[Artifact], path: Path) -> None:
    """Accuracy by the number of training images, as a PNG file."""
    from edgebench.report import plots

    curves: dict[str, list[tuple[int, float, float, float, int]]] = {}
    for row in study.samples(checkpoints):
        low, high = (row.accuracy if bound is None else bound for bound in (row.low, row.high))
        curves.setdefault(row.run, []).append((row.train_images, row.accuracy, low, high, row.seeds))
    plots.accuracy_by_samples(curves, path)


def plot_batch_sizes(checkpoints: Sequence[Artifact], path: Path) -> None:
    """Training speed and accuracy by batch size, as a PNG file."""
    from edgebench.report import plots

    found = study.batch_sizes(checkpoints)
    plots.batch_size([dataclasses.asdict(row) | {"model": row.run} for row in found], path)


def check_plot(path: Path | None) -> None:
    """Raise UsageError for a file that cannot hold the plot of a study."""
    if path and path.suffix != ".png":
        raise UsageError(f"--plot {path} is not a PNG file", "end it in .png")


def plot(done: studying.Study, path: Path) -> None:
    """Draw a study, as a PNG file."""
    draw = {"convergence": plot_convergence, "samples": plot_samples, "batch-size": plot_batch_sizes}[done.kind]
    draw(done.checkpoints, path)


def plots_in(folder: Path, checkpoints: Sequence[Artifact]) -> list[Path]:
    """Draw plots of the checkpoints into the folder, each of one test split. Returns the files."""
    made = []
    groups = study.by_test_split(study.comparable(checkpoints))
    for split, compared in groups.items():
        drawn: list[tuple[str, Callable[[Sequence[Artifact], Path], None], Sequence[Artifact]]] = [
            ("convergence", plot_convergence, compared),
            ("samples", plot_samples, study.with_several(compared, "subset", "seed")),
            ("batch-size", plot_batch_sizes, study.with_several(compared, "batch_size")),
        ]
        plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in split.label)
        for name, draw, of in drawn:
            if of:
                made.append(folder / (f"{name}-{plain}.png" if len(groups) > 1 else f"{name}.png"))
                draw(of, made[-1])
    return made


def _shown(rows: Sequence[Any]) -> list[str]:
    fields = [field.name for field in dataclasses.fields(rows[0]) if field.name != "created"]
    return [field for field in fields if field not in IF_ANY or any(_told(getattr(row, field)) for row in rows)]


def _told(value: Any) -> bool:
    return value is not None and value is not False and value != ""


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return MISSING
    if name == "beside_floor":
        return VERDICTS[value]
    if name in SHARES:
        return f"{value:.1%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "lr":
        return f"{value:g}"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)
