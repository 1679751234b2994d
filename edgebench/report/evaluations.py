"""Evaluations of artifacts as people read them: a table of accuracies, and one of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebench.records.answers import Evaluation
from edgebench.records.result import Result
from edgebench.records.terminal import printable
from edgebench.report import contexts
from edgebench.report.formats import MISSING
from edgebench.results import context

if TYPE_CHECKING:
    from rich.table import Table

# Headings of the columns that compare: with the answers that a model was trained to, or was adopted with.
TORCH = ("in torch", "same as torch")
REFERENCE = ("in the reference", "same as the reference")


def plain(result: Result) -> dict[str, Any]:
    """An evaluation as plain values, for --json."""
    return {
        "model": result.artifact.model.name, "format": result.artifact.format, "runtime": result.job.runtime,
        "precision": result.job.precision, "device": result.job.device, "compute": result.job.compute,
        "evidence": result.evidence, "status": result.status, "message": result.message,
        "evaluation": result.evaluation, "context": _context(result), "score": result.score,
    }  # fmt: skip


def _context(result: Result) -> dict[str, Any] | None:
    found = result.evaluation
    training = result.artifact.training
    return contexts.plain(found.classes, training and training.data) if found else None


def tables(results: Sequence[Result]) -> list[Table]:
    """The accuracies of our models and of adopted ones, and the figures of functions."""
    scored = [result for result in results if result.score]
    ours = [result for result in results if not result.artifact.adopted]
    adopted = [result for result in results if result.artifact.adopted and not result.score]
    made = [table(some, reference) for some, reference in ((ours, TORCH), (adopted, REFERENCE)) if some]
    return [*made, *([score_table(scored)] if scored else [])]


def table(results: Sequence[Result], reference: tuple[str, str] = TORCH) -> Table:
    """One line per result: the accuracy with its 95 % interval, its context, and a comparison with the reference."""
    from rich.markup import escape
    from rich.table import Table

    headings = (
        "model", "format", "runtime", "precision", "images", "accuracy", "95 %", "majority", "balanced",
        "lowest recall", *reference,
    )  # fmt: skip
    on = dict.fromkeys(_pictures(result) for result in results if result.evaluation and result.evaluation.test)
    made = Table(*headings, header_style="bold", pad_edge=False, caption=escape(printable("; ".join(on))) or None)
    for result in results:
        found = result.evaluation
        figures = [MISSING] * 8
        if found:
            low, high = found.accuracy_ci95
            seen = context.of(found.classes)
            shares = (seen.majority_share, seen.balanced) if seen else (None, None)
            figures = [
                f"{found.images:,}", f"{found.accuracy:.2%}", f"{low:.2%} to {high:.2%}",
                *(MISSING if share is None else f"{share:.2%}" for share in shares), contexts.worst(seen),
                *(MISSING if share is None else f"{share:.2%}" for share in _beside(found)),
            ]  # fmt: skip
        job = result.job
        names = (result.artifact.model.name, result.artifact.format, job.runtime, job.precision)
        made.add_row(*(escape(printable(cell)) for cell in (*names, *figures)))
    return made


def _beside(found: Evaluation) -> tuple[float | None, float | None]:
    """The reference's accuracy, and the share of pictures for which it puts the same class first."""
    return found.reference_accuracy if found.test else found.torch_accuracy, found.agreement


def _pictures(result: Result) -> str:
    found = result.evaluation
    return f"on {found.images:,} pictures of {found.test.dataset} ({found.test.sha256[:8]})"


def score_table(results: Sequence[Result]) -> Table:
    """One line per result: the figures of a user's function."""
    from rich.markup import escape
    from rich.table import Table

    names = list(dict.fromkeys(name for result in results for name in result.score.figures))
    on = [f"{each.function} on {each.images:,} pictures of {each.test.dataset}" for each in (r.score for r in results)]
    made = Table(
        *(escape(printable(each)) for each in ("model", "format", "runtime", "precision", *names)),
        header_style="bold", pad_edge=False, caption=escape(printable("; ".join(dict.fromkeys(on)))),
    )  # fmt: skip
    for result in results:
        figures = [result.score.figures.get(name) for name in names]
        cells = (result.artifact.model.name, result.artifact.format, result.job.runtime, result.job.precision)
        shown = [MISSING if figure is None else f"{figure:.6g}" for figure in figures]
        made.add_row(*(escape(printable(cell)) for cell in (*cells, *shown)))
    return made


def class_table(result: Result) -> Table:
    """One line for each class of an evaluated artifact."""
    from rich.markup import escape
    from rich.table import Table

    headings = ("class", "images", "right", "recall", "95 %", "most often taken for")
    made = Table(*headings, title=escape(printable(result.title)), title_justify="left")
    for row in result.evaluation.classes:
        cells = [row.name, str(row.images), str(row.correct), MISSING, MISSING, MISSING]
        if row.images:
            found = context.recall(row)
            cells[3:5] = f"{found.share:.1%}", f"{found.low:.1%} to {found.high:.1%}"
        if row.mistaken:
            cells[5] = f"{row.mistaken_for} ({row.mistaken})"
        made.add_row(*(escape(printable(cell)) for cell in cells))
    return made
