"""Evaluations of artifacts as people read them: a table of accuracies, and one of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgebench.records.result import Result
from edgebench.report.formats import MISSING, printable

if TYPE_CHECKING:
    from rich.table import Table


def plain(result: Result) -> dict[str, Any]:
    """An evaluation as plain values, for --json."""
    return {
        "model": result.artifact.model.name, "format": result.artifact.format, "runtime": result.job.runtime,
        "precision": result.job.precision, "device": result.job.device, "compute": result.job.compute,
        "evidence": result.evidence, "status": result.status, "message": result.message,
        "evaluation": result.evaluation,
    }  # fmt: skip


def table(results: Sequence[Result]) -> Table:
    """One line per result: the accuracy with its 95 % interval, and a comparison with torch."""
    from rich.markup import escape
    from rich.table import Table

    headings = ("model", "format", "runtime", "precision", "images", "accuracy", "95 %", "in torch", "same as torch")
    made = Table(*headings, header_style="bold", pad_edge=False)
    for result in results:
        found = result.evaluation
        figures = [MISSING] * 5
        if found:
            low, high = found.accuracy_ci95
            shares = (f"{found.accuracy:.2%}", f"{low:.2%} to {high:.2%}", found.torch_accuracy, found.torch_agreement)
            figures = [f"{found.images:,}", *(s if isinstance(s, str) else f"{s:.2%}" for s in shares)]
        job = result.job
        names = (result.artifact.model.name, result.artifact.format, job.runtime, job.precision)
        made.add_row(*(escape(printable(cell)) for cell in (*names, *figures)))
    return made


def class_table(result: Result) -> Table:
    """One line for each class of an evaluated artifact."""
    from rich.markup import escape
    from rich.table import Table

    title = f"{result.artifact.model.name} ({result.artifact.format}) on {result.job.runtime}"
    made = Table("class", "images", "right", "accuracy", title=escape(printable(title)), title_justify="left")
    for row in result.evaluation.classes:
        share = f"{row.correct / row.images:.1%}" if row.images else MISSING
        made.add_row(escape(printable(row.name)), str(row.images), str(row.correct), share)
    return made
