"""Each training beside its floor: what methods without a network reach on the same images."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.records.floor import VERDICTS
from edgebench.report import floors
from edgebench.report.page.markup import Html, el, scrolled
from edgebench.specs import Artifact
from edgebench.training import study

HEADINGS = ("training", "test accuracy", "floor", "difference, 95 % interval", "beside the floor")
SHOWN = 50


def table(checkpoints: Sequence[Artifact]) -> Html | None:
    """A line for each checkpoint that has a floor; what to do where the network does not clearly beat it."""
    named = zip(study.names(checkpoints), checkpoints, strict=True)
    found = [(name, c.training) for name, c in named if c.training.floor and c.training.floor.beside]
    if not found:
        return None
    lines = []
    for name, training in found[:SHOWN]:
        beside = training.floor.beside
        lines.append(el(
            "tr", el("th", name, scope="row"), el("td", f"{beside.network_accuracy:.1%}", class_="n"),
            el("td", floors.best(training.floor)),
            el("td", f"{100 * beside.difference:+.1f} points, {100 * beside.low:+.1f} to {100 * beside.high:+.1f}"),
            el("td", VERDICTS[beside.verdict], class_=None if beside.verdict == "above" else "bad"),
        ))  # fmt: skip
    told = sorted({warning.remedy for _, t in found if (warning := floors.warning_of(t))})
    more = f" The first {SHOWN} of {len(found)} trainings." if len(found) > SHOWN else ""
    caption = el("caption", "Trainings beside their floors", class_="hidden")
    head = el("tr", *(el("th", heading, scope="col") for heading in HEADINGS))
    drawn = el("table", caption, el("thead", head), el("tbody", *lines))
    return el(
        "div",
        el("h3", "Beside what needs no network"),
        el("p", f"Both on the same test images; the method was chosen on validation.{more}", class_="note"),
        scrolled(drawn, "Trainings beside their floors"),
        *(el("p", f"Where a network is not above its floor: {remedy}.", class_="note") for remedy in told),
    )  # fmt: skip
