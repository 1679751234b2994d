"""The account of a dataset as a person reads it: what was understood, used and left out, and what the pictures are."""

from __future__ import annotations

from edgebench.records import account_text
from edgebench.records.account import Account, Spread
from edgebench.records.account_text import SPLIT_WORDS
from edgebench.records.terminal import printable

MOST_CLASSES = 40  # of the table of classes; the rest is in --json


def lines(account: Account) -> list[str]:
    """The account line by line."""
    told = [f"layout    {account_text.understood(account.layout)}"] if account.layout.kind != "arrays" else []
    told += [f"found     {account.found:,} files", f"used      {account_text.used(account)}"]
    for each in account.left_out:
        told.append(f"left out  {account_text.left(each)}")
        if remedy := account_text.REMEDIES.get(each.reason):
            told.append(f"            {remedy}")
    if account.groups:
        told.append(f"groups    {account_text.grouped(account.groups)}")
    if account.pictures:
        told += _pictures(account)
    told += [f"notice    {each.message}; {each.remedy}" for each in account.notices]
    return [printable(line) for line in [*told, "", *_table(account)]]


def _table(account: Account) -> list[str]:
    """A line for each class with its pictures in each split, and its share of all."""
    names = [account_text.one_line(name) for name in account.classes[:MOST_CLASSES]]
    splits = [split for split in SPLIT_WORDS if split in account.balance]
    counts = [[account.balance[split][label] for split in splits] for label in range(len(account.classes))]
    total = max(1, sum(map(sum, counts)))
    width = max(map(len, ("class", *names)))
    head = "".join(f"{SPLIT_WORDS[split]:>12}" for split in splits)
    made = [f"{'class':<{width}}{head}{'share':>9}"]
    for name, row in zip(names, counts, strict=False):
        made.append(f"{name:<{width}}{''.join(f'{count:>12,}' for count in row)}{sum(row) / total:>9.1%}")
    if len(account.classes) > MOST_CLASSES:
        made.append(f"and {len(account.classes) - MOST_CLASSES:,} more classes: --json lists all")
    return made


def _pictures(account: Account) -> list[str]:
    found = account.pictures
    assert found is not None
    modes = ", ".join(f"{count:,} {mode}" for mode, count in found.modes.items())
    bits = ", ".join(f"{count:,} of {number} bits" for number, count in found.bits.items())
    told = [f"pixels    width {_spread(found.widths)}, height {_spread(found.heights)}; {modes}; {bits}; "
            "copies too"]  # fmt: skip
    if found.values:
        told.append(f"values    {_spread(found.values)} in pictures deeper than 8 bits")
    return told


def _spread(spread: Spread) -> str:
    if spread.least == spread.most:
        return f"{spread.least:g}"
    return f"{spread.least:g} to {spread.most:g} (median {spread.median:g})"
