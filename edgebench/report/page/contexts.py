"""Each training in context: the majority's share, balanced accuracy, the lowest recall, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.report import contexts
from edgebench.report.page.markup import Html, el, parted, scrolled
from edgebench.results import context
from edgebench.specs import Artifact
from edgebench.training import study

HEADINGS = (
    "training", "test accuracy", "majority", "balanced accuracy, 95 % interval", "lowest recall", "beside the majority",
)  # fmt: skip
WORDS = {"above": "above the majority", "unclear": "not clearly above the majority", "below": "below the majority"}
SHOWN = 50


def table(checkpoints: Sequence[Artifact]) -> Html | None:
    """A line for each checkpoint whose right answers were counted by class."""
    named = zip(study.names(checkpoints), checkpoints, strict=True)
    found = [(name, c.training, seen) for name, c in named if (seen := context.of(c.training.test_classes))]
    if not found:
        return None
    lines, against = [], {}
    for name, training, seen in found[:SHOWN]:
        against |= dict.fromkeys(context.notices(training.test_classes, training.data))
        good = seen.beside_majority == "above" and not seen.never_found
        verdict = WORDS.get(seen.beside_majority, "no better than the majority")
        verdict += f"; never found: {context.listed([r.name for r in seen.never_found])}" if seen.never_found else ""
        balanced = f"{seen.balanced:.1%}, {seen.balanced_low:.1%} to {seen.balanced_high:.1%}"
        lines.append(el(
            "tr", el("th", parted(name), scope="row"), el("td", f"{training.test_accuracy:.1%}", class_="n"),
            el("td", f"{seen.majority_share:.1%} {seen.majority}"), el("td", balanced),
            el("td", contexts.worst(seen)), el("td", verdict, class_=None if good else "bad"),
        ))  # fmt: skip
    more = f" The first {SHOWN} of {len(found)} trainings." if len(found) > SHOWN else ""
    caption = el("caption", "Accuracies in context", class_="hidden")
    head = el(
        "tr", *(el("th", heading, scope="col", class_="n" if n == 1 else None) for n, heading in enumerate(HEADINGS))
    )
    drawn = el("table", caption, el("thead", head), el("tbody", *lines), class_="contexts")
    remedies = dict.fromkeys(f"{each.code}: {each.remedy}." for each in against)
    return el(
        "div",
        el("h3", "Accuracy in context"),
        el("p", f"Majority: the share of the most frequent class of the test images, and its name.{more}",
           class_="note"),
        scrolled(drawn, "Accuracies in context"),
        *(el("p", remedy, class_="note") for remedy in remedies),
    )  # fmt: skip
