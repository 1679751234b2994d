"""What became of the files of each dataset: how it was understood, what is used, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.records import account_text
from edgebench.records.account import Account
from edgebench.report.page.markup import Html, el
from edgebench.specs import Artifact

SHOWN = 20


def section_of(checkpoints: Sequence[Artifact]) -> Html | None:
    """A list for each account that trainings have, without repeats; None where all data are of older trainings."""
    told: dict[tuple[str, ...], str] = {}
    for checkpoint in checkpoints:
        if account := checkpoint.training.data.account:
            told.setdefault(_lines(account), checkpoint.training.data.dataset)
    if not told:
        return None
    parts = []
    for lines, dataset in list(told.items())[:SHOWN]:
        parts += [el("h4", dataset), el("ul", *(el("li", line) for line in lines))]
    more = len(told) - SHOWN
    return el(
        "div", el("h3", "What became of the files"), *parts,
        el("p", f"and {more} more", class_="note") if more > 0 else None,
    )  # fmt: skip


def _lines(account: Account) -> tuple[str, ...]:
    understood = [] if account.layout.kind == "arrays" else [account_text.understood(account.layout)]
    return (account_text.used(account), *understood, *map(account_text.left, account.left_out))
