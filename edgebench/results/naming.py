"""The names of rows: the model's, and where several networks have that name, what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.results.figures import Row


def names(rows: Sequence[Row]) -> list[str]:
    """A name for each row: "resnet_mini, 32 px, 3 epochs". Rows of one network have the same name."""
    by_model: dict[str, list[Row]] = {}
    for row in rows:
        by_model.setdefault(row.model, []).append(row)
    told = {model: _apart(found) for model, found in by_model.items()}
    return [", ".join((row.model, *told[row.model].get(row.network, ()))) for row in rows]


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
