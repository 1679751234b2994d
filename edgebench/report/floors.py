"""The floor of a training in words: what needs no network, and whether the network beats it."""

from __future__ import annotations

from edgebench.records.floor import VERDICTS, Beside, Floor, FloorMethod
from edgebench.records.notices import Notice, notice
from edgebench.report.written import MISSING
from edgebench.specs import Training

NAMES = {
    "majority": "the most frequent class", "neighbours": "nearest neighbours", "linear": "logistic regression",
    "kernel": "support vector machine",
}  # fmt: skip


def lines(training: Training) -> list[str]:
    """The floor, what limited it, and how the network compares; nothing if there is no floor."""
    if (floor := training.floor) is None:
        return []
    when = "computed before" if floor.reused else f"in {floor.seconds:.1f} s"
    told = [f"floor: {'; '.join(_figures(floor)) or 'no method gave one'} ({when})"]
    told += [f"  {NAMES[method.name]}: {method.limited}" for method in floor.methods if method.limited]
    if floor.interrupted:
        told.append("  it was interrupted; train again for the rest")
    if floor.beside is not None:
        told.append(compared(floor.beside))
    if warning := warning_of(training):
        told.append(f"next: {warning.remedy}")
    return told


def compared(beside: Beside) -> str:
    """The network beside its floor: "the network is above its floor by +8.1 points (95 % interval …)"."""
    return (
        f"the network is {VERDICTS[beside.verdict]} its floor: {100 * beside.difference:+.1f} points "
        f"(95 % interval {100 * beside.low:+.1f} to {100 * beside.high:+.1f}) on the same {beside.images:,} test images"
    )


def best(floor: Floor) -> str:
    """The best method and its test accuracy: "99.2 %, support vector machine on 16 pixels"."""
    method = floor.best_method
    return f"{method.test_accuracy:.1%}, {_named(method)}".replace("%", " %") if method else MISSING


def warning_of(training: Training) -> Notice | None:
    """The notice of a network that does not clearly beat its floor."""
    floor = training.floor
    if floor is None or floor.beside is None or floor.beside.verdict == "above":
        return None
    found = floor.beside
    return notice(
        "not_above_floor", difference=100 * found.difference, low=100 * found.low, high=100 * found.high,
        method=NAMES[floor.best],
    )  # fmt: skip


def _figures(floor: Floor) -> list[str]:
    """The best method first, then the others, from the most accurate on validation."""
    others = [m for m in floor.methods if m.name != floor.best and m.test_accuracy is not None]
    others.sort(key=lambda method: -method.validation_accuracy)
    found = [f"{_named(method)} {method.test_accuracy:.1%}".replace("%", " %") for method in others]
    return [best(floor), *found] if floor.best else found


def _named(method: FloorMethod) -> str:
    pixels = method.settings.get("pixels")
    return f"{NAMES[method.name]} on {pixels} pixels" if pixels else NAMES[method.name]
