"""The backbones of a `probe` as a table, and what the table cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebench.choosing.probes import Probed
from edgebench.records.heads import HeadKind
from edgebench.records.terminal import printable
from edgebench.report.formats import MISSING

if TYPE_CHECKING:
    from rich.table import Table

HEADS: dict[HeadKind, str] = {"linear": "linear", "neighbours": "nearest", "kernel": "kernel"}
COLUMNS = (
    "model", "pixels", "linear", "nearest", "kernel", "test acc.", "median ms", "runtime", "GMACs", "features s",
    "heads s",
)  # fmt: skip


def terminal(rows: Sequence[Probed]) -> Table:
    """A rich table, a line a backbone. Linear, nearest and kernel are accuracies on validation."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(header_style="bold", pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("model", "runtime") else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in _cells(row)))
    return table


def _cells(row: Probed) -> list[str]:
    frozen = row.frozen
    return [
        row.model,
        str(row.image_size),
        *(f"{frozen.head(kind).validation_accuracy:.1%}" for kind in HEADS),
        f"{row.test_accuracy:.2%}",
        MISSING if row.latency_ns is None else f"{row.latency_ns / 1e6:.3g}",
        row.runtime or MISSING,
        f"{row.macs / 1e9:.3g}",
        f"{frozen.seconds:.1f}",
        f"{sum(head.seconds for head in frozen.heads):.1f}",
    ]


def remarks(rows: Sequence[Probed]) -> list[str]:
    """A sentence for each backbone whose best head is one that no network has, so that it cannot be exported."""
    told = []
    for row in rows:
        best, linear = row.frozen.best, row.frozen.head("linear")
        if best.kind != "linear":
            told.append(
                f"{row.model} at {row.image_size} pixels: the {HEADS[best.kind]} head is better on the "
                f"{row.validation_images} validation images ({best.validation_accuracy:.1%}, linear "
                f"{linear.validation_accuracy:.1%}), but cannot be exported: the checkpoint has the linear one"
            )
    return told
