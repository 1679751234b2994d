"""The names of rows: the model's, what tells it from others of that name, and what is special about the measurement."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.results.figures import Row


def names(rows: Sequence[Row]) -> list[str]:
    """A name for each row: "resnet_mini, 32 px, 3 epochs, inter_op_threads=2, interrupted after 2 launches".

    Rows of one network on one runtime have the same name, unless they differ in what the runtime was given.
    """
    by_model: dict[str, list[Row]] = {}
    by_runtime: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
        by_runtime.setdefault((row.network, row.runtime), []).append(row)
    told = {model: _apart(found) for model, found in by_model.items()}
    shared = {of: set.intersection(*(set(row.settings) for row in found)) for of, found in by_runtime.items()}
    return [
        ", ".join((
            row.model, *told[row.model].get(row.network, ()),
            *(one for one in row.settings if one not in shared[row.network, row.runtime]), *_cut_short(row),
        ))
        for row in rows
    ]  # fmt: skip


def _cut_short(row: Row) -> tuple[str, ...]:
    """A mark of a measurement that was interrupted: its figures are of what was done by then."""
    if row.stop != "interrupted" or row.status != "ok":
        return ()
    return (f"interrupted after {row.launches} launch{'es' * (row.launches != 1)}",)


def _apart(rows: Sequence[Row]) -> dict[str, tuple[str, ...]]:
    """The facts that tell the networks of one model apart, by network: as few kinds of them as it takes."""
    facts = {row.network: _facts(row) for row in rows}
    chosen: list[int] = []
    kinds = 1
    for kind in range(len(next(iter(facts.values())))):
        found = len({tuple(known[n] for n in (*chosen, kind)) for known in facts.values()})
        if found > kinds:
            chosen.append(kind)
            kinds = found
    return {network: tuple(known[n] for n in chosen if known[n]) for network, known in facts.items()}


def _facts(row: Row) -> tuple[str, ...]:
    data = "" if row.adopted else row.dataset  # an adopted model's is what it was judged by
    return data, row.input_size, row.trained_for, row.network[:8]
