"""The recall of a class that is named, as a criterion: no column has it, and its limit is given by class."""

from __future__ import annotations

from edgebench.results.columns import Column, Criterion, Known, Limit
from edgebench.results.criteria import not_counted
from edgebench.results.figures import CRITERIA, Row

RECALL = Criterion(
    name="recall", unit="", kind="accuracy", better="more", place=3, missing=not_counted,
    limit=Limit(
        name="min_class_recall", unit="a share by class", place=10, most=1.0,
        help="Lower limit of the share of a class's test images that are found.",
    ),
    column=Column(read=lambda r: None, percent=1),
)  # fmt: skip
BY_CLASS = {RECALL.limit.name: RECALL}


def criterion(name: str) -> Criterion:
    """The criterion of a figure, also of one that is known by class."""
    return RECALL if name == RECALL.name else CRITERIA[name]


def known(row: Row, of_class: str) -> Known:
    """What a row tells about the recall of a class, with Wilson's 95 % interval."""
    if not row.class_counts:
        reason, fix = RECALL.missing(row)
        return Known(value=None, reason=reason, fix=fix)
    counts = next(((images, right) for name, images, right in row.class_counts if name == of_class), None)
    if counts is None or not counts[0]:
        lacking = f"its dataset, {row.dataset}, has no test image of the class {of_class!r}"
        return Known(value=None, reason=lacking, fix="add some, and train again")
    from edgebench.results.stats import wilson  # it needs numpy, which the options of `select` do without

    low, high = wilson(counts[1], counts[0])
    return Known(value=counts[1] / counts[0], low=low, high=high)
