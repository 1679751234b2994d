"""Evaluations of artifacts as people read them: a table of accuracies, and one of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebench.records.result import Result
from edgebench.report import contexts
from edgebench.report.formats import MISSING, printable
from edgebench.results import context

if TYPE_CHECKING:
    from rich.table import Table


def plain(result: Result) -> dict[str, Any]:
    """An evaluation as plain values, for --json."""
    return {
        "model": result.artifact.model.name, "format": result.artifact.format, "runtime": result.job.runtime,
        "precision": result.job.precision, "device": result.job.device, "compute": result.job.compute,
        "evidence": result.evidence, "status": result.status, "message": result.message,
        "evaluation": result.evaluation,
        "context": _context(result),
    }  # fmt: skip


def _context(result: Result) -> dict[str, Any] | None:
    found = result.evaluation
    return contexts.plain(found.classes, result.artifact.training.data) if found else None


def table(results: Sequence[Result]) -> Table:
    """One line per result: the accuracy with its 95 % interval, its context, and a comparison with torch."""
    from rich.markup import escape
    from rich.table import Table

    headings = (
        "model", "format", "runtime", "precision", "images", "accuracy", "95 %", "majority", "balanced",
        "lowest recall", "in torch", "same as torch",
    )  # fmt: skip
    made = Table(*headings, header_style="bold", pad_edge=False)
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
                f"{found.torch_accuracy:.2%}", f"{found.torch_agreement:.2%}",
            ]  # fmt: skip
        job = result.job
        names = (result.artifact.model.name, result.artifact.format, job.runtime, job.precision)
        made.add_row(*(escape(printable(cell)) for cell in (*names, *figures)))
    return made


def class_table(result: Result) -> Table:
    """One line for each class of an evaluated artifact."""
    from rich.markup import escape
    from rich.table import Table

    title = f"{result.artifact.model.name} ({result.artifact.format}) on {result.job.runtime}"
    headings = ("class", "images", "right", "recall", "95 %", "most often taken for")
    made = Table(*headings, title=escape(printable(title)), title_justify="left")
    for row in result.evaluation.classes:
        cells = [row.name, str(row.images), str(row.correct), MISSING, MISSING, MISSING]
        if row.images:
            found = context.recall(row)
            cells[3:5] = f"{found.share:.1%}", f"{found.low:.1%} to {found.high:.1%}"
        if row.mistaken:
            cells[5] = f"{row.mistaken_for} ({row.mistaken})"
        made.add_row(*(escape(printable(cell)) for cell in cells))
    return made
