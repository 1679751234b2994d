"""The table of measurements, with the form that filters it."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.records.notices import KINDS
from edgebench.report.formats import NOTE
from edgebench.report.page.markup import Html, el, join, parted, scrolled, warned
from edgebench.report.written import MISSING, text, values
from edgebench.results.figures import TABLE, Row

FILTERS = ("model", "dataset", "runtime", "precision", "device", "scenario", "evidence", "status")
LINKED = 8  # measurements that a warning leads to
# The first cell shows these under the model's name.
IN_THE_NAME = {"model", "format", "runtime", "precision"}


def section(numbered: Sequence[tuple[int, Row]], left_out: int) -> Html:
    """All rows that are shown; scripts make them sortable and filter them."""
    rows = [row for _, row in numbered]
    plain = {column: values(column, rows) for column in TABLE}
    cells = {column: [text(column, value) for value in found] for column, found in plain.items()}
    named = {column for column in TABLE if column.name in IN_THE_NAME}
    empty = {column for column in TABLE if column.optional and set(cells[column]) <= {MISSING}}
    same = [c for c in TABLE if c.once and c not in named | empty and len(rows) > 1 and len(set(cells[c])) == 1]
    kept = [column for column in TABLE if column not in {*named, *empty, *same}]
    numeric = {column for column in kept if any(isinstance(value, (int, float)) for value in plain[column])}
    head = [el("th", "measurement", scope="col")]
    head += [el("th", c.heading, scope="col", class_="n" if c in numeric else None) for c in kept]
    body = []
    for n, (i, row) in enumerate(numbered):
        small = f"{row.format} · {row.runtime} · {row.precision_told}{f' · batch {row.batch}' if row.batch > 1 else ''}"
        name = el("a", parted(row.name), el("small", small, warned(row)), href=f"#row-{i}")
        line = [el("th", name, scope="row", data_value=f"{row.name} {small}")]
        for column in kept:
            value = plain[column][n]
            kind = "n" if column in numeric else "bad" if column.name == "status" and row.status != "ok" else None
            line.append(el("td", cells[column][n], class_=kind, data_value="" if value is None else value))
        facts = {f"data_{name}": getattr(row, name) or MISSING for name in FILTERS}
        body.append(el("tr", *line, data_row=i, **facts))
    shown = f"The newest result of each of {len(rows)} measurements." if not left_out else (
        f"{len(rows)} of {len(rows) + left_out:,} measurements: --model and --device choose others, and "
        "edgebench report --format csv has all."
    )  # fmt: skip
    once = ", ".join(f"{column.heading} {cells[column][0]}" for column in same)
    caption = el("caption", "Measurements", class_="hidden")
    drawn = el("table", caption, el("thead", el("tr", *head)), el("tbody", *body), id="table")
    return el(
        "section",
        el("h2", "Measurements", id="measurements-heading"),
        el("p", shown, f" The same in all: {once}." if once else None, class_="note"),
        scrolled(drawn, "Table of measurements"),
        _warnings(numbered),
        el("p", NOTE, class_="note"),
        id="measurements", aria_labelledby="measurements-heading",
    )  # fmt: skip


def _warnings(numbered: Sequence[tuple[int, Row]]) -> Html | None:
    """Each warning once, with the measurements that have it; their entries give the figures."""
    found: dict[str, list[tuple[int, Row]]] = {}
    for i, row in numbered:
        for code in row.warnings:
            found.setdefault(code, []).append((i, row))
    items = []
    for code, concerned in found.items():
        links = [el("a", parted(row.name), href=f"#row-{i}") for i, row in concerned[:LINKED]]
        where = join(part for n, link in enumerate(links) for part in ([", "] * bool(n) + [link]))
        more = f" and {len(concerned) - LINKED} more" if len(concerned) > LINKED else ""
        remedy = f" Remedy: {KINDS[code].remedy}." if code in KINDS else ""
        items.append(el("li", el("b", code), f": {len(concerned)} of {len(numbered)}: ", where, f"{more}.{remedy}"))
    return el("div", el("h3", "Warnings"), el("ul", *items, class_="warnings")) if items else None


def filters(rows: Sequence[Row]) -> Html | None:
    """The form above everything that it filters; hidden if no script runs. None for a single row."""
    if len(rows) < 2:
        return None
    fields = [el("label", "Search", el("input", type="search", name="search", autocomplete="off"))]
    for name in FILTERS:
        values = list(dict.fromkeys(getattr(row, name) or MISSING for row in rows))
        if len(values) > 1:
            options = [el("option", "all", value=""), *(el("option", value, value=value) for value in values)]
            fields.append(el("label", name.capitalize(), el("select", *options, name=name)))
    fields.append(el("button", "Reset", type="reset"))
    form = el("form", *fields, aria_label="Filter the measurements", role="search")
    shown = el("output", f"{len(rows)} shown", aria_live="polite")
    return el("details", el("summary", "Filter: ", shown), form, id="filters", hidden=True)
