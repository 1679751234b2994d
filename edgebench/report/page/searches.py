"""The searches before trainings: the settings that each compared, and what they reached on validation."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.records.search import Search
from edgebench.report import searches
from edgebench.report.page.markup import Html, el, scrolled
from edgebench.report.written import MISSING
from edgebench.specs import Artifact
from edgebench.training import study

SHOWN = 20  # searches


def tables(checkpoints: Sequence[Artifact]) -> Html | None:
    """A table for each training that a search came before, from the setting that went furthest."""
    named = zip(study.names(checkpoints), checkpoints, strict=True)
    found = [(name, c.training.search) for name, c in named if c.training.search]
    if not found:
        return None
    more = f" The first {SHOWN} of {len(found)} searches." if len(found) > SHOWN else ""
    return el(
        "div",
        el("h3", "What the searches compared"),
        el("p", f"Accuracies on validation; test images were not looked at. The best setting was then trained.{more}",
           class_="note"),
        *(_table(name, search) for name, search in found[:SHOWN]),
    )  # fmt: skip


def _table(name: str, search: Search) -> Html:
    rungs = [f"{length:.3g} {search.unit}" for length in search.lengths]
    head = el("tr", *(el("th", heading, scope="col") for heading in ("setting", *rungs, "ended")))
    order = sorted(search.trials, key=lambda t: (t is not search.best, -len(t.accuracies), [-a for a in t.accuracies]))
    lines = []
    for trial in order:
        shown = [f"{accuracy:.1%}" for accuracy in trial.accuracies]
        cells = [el("td", text, class_="n") for text in (*shown, *[MISSING] * (len(rungs) - len(shown)))]
        given = " (as given)" if trial is search.given else ""
        lines.append(el(
            "tr", el("th", trial.title + given, scope="row"), *cells, el("td", searches.ended(search, trial)),
        ))  # fmt: skip
    drawn = el("table", el("caption", name), el("thead", head), el("tbody", *lines))
    return scrolled(drawn, f"The search of {name}")
