"""Markup that text cannot break: elements are built from values, and everything that is not an element is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any

from edgebench.records.terminal import printable
from edgebench.report.written import MISSING
from edgebench.results.figures import Row

VOID = {"input", "meta", "link", "br", "wbr"}
BREAKS = re.compile(r"(?<=[-_/.,])(?=[^-_/.,\s])")  # where a long name may go on in the next line


class Html(str):
    """Text that is markup already; all other text is escaped when it becomes part of one."""


def text(value: object) -> Html:
    """A name or a figure as markup: escaped for content and attributes, without control characters."""
    return value if isinstance(value, Html) else Html(html.escape(printable(str(value)), quote=True))


def el(tag: str, *children: object, **attributes: Any) -> Html:
    """An element. `class_` is the attribute class, `data_row` data-row; None or False leaves an attribute out."""
    told = ""
    for name, value in attributes.items():
        if value is not None and value is not False:
            name = name.rstrip("_").replace("_", "-")
            told += f" {name}" if value is True else f' {name}="{text(value)}"'
    if tag in VOID:
        return Html(f"<{tag}{told}>")
    return Html(f"<{tag}{told}>{join(children)}</{tag}>")


def join(parts: Iterable[object]) -> Html:
    """Parts one after another; None is skipped."""
    return Html("".join(text(part) for part in parts if part is not None))


def parted(name: str) -> Html:
    """A name that a narrow screen parts after its signs, not in the middle of a word."""
    return Html("<wbr>".join(text(part) for part in BREAKS.split(name)))


def warned(row: Row) -> Html | None:
    """The warnings of a measurement, for a line of details; None without any."""
    return el("span", f" ⚠ {', '.join(row.warnings)}", class_="warned") if row.warnings else None


def scrolled(drawn: Html, label: object) -> Html:
    """A wide part that is moved to the side on a narrow screen; page.js says so where it is cut."""
    return el("div", drawn, class_="scroll", tabindex=0, role="group", aria_label=label)


def table(caption: object, headings: Sequence[str], lines: Iterable[Sequence[object]], **attributes: Any) -> Html:
    """A table whose first cell is the heading of its row; a column of figures is aligned to the right."""
    lines = list(lines)
    kinds = [None, *[_kind(cells) for cells in list(zip(*lines, strict=True))[1:]]]
    head = []
    for heading, kind in zip_longest(headings, kinds):
        head.append(el("th", heading, scope="col", class_=kind) if heading else el("td"))
    body = []
    for first, *others in lines:
        cells = [el("td", cell, class_=kind) for cell, kind in zip(others, kinds[1:], strict=True)]
        body.append(el("tr", el("th", first, scope="row"), *cells))
    made = el("table", el("caption", caption), el("thead", el("tr", *head)), el("tbody", *body), **attributes)
    return scrolled(made, caption)


def _kind(cells: Sequence[object]) -> str | None:
    """The class of a column: "n" if it has figures, and dashes for those that are missing, alone."""
    told = {str(cell) for cell in cells} - {MISSING, ""}
    return "n" if told and all(cell.lstrip("+-−")[:1].isdigit() for cell in told) else None
