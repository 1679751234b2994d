"""Markup that text cannot break: elements are built from values, and everything that is not an element is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from edgebench.records.terminal import printable

VOID = {"input", "meta", "link", "br"}


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


def table(caption: object, headings: Sequence[str], lines: Iterable[Sequence[object]], **attributes: Any) -> Html:
    """A table whose first cell is the heading of its row; a cell that begins with a digit is aligned to the right."""
    head = el("tr", *(el("th", heading, scope="col") for heading in headings))
    body = []
    for first, *others in lines:
        cells = [el("td", cell, class_="n" if str(cell)[:1].isdigit() else None) for cell in others]
        body.append(el("tr", el("th", first, scope="row"), *cells))
    made = el("table", el("caption", caption), el("thead", head), el("tbody", *body), **attributes)
    return el("div", made, class_="scroll", tabindex=0, role="region", aria_label=caption)
