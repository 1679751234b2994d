"""The search before a training in words: what was compared, what was found, and how the given recipe did."""

from __future__ import annotations

from edgebench.records.search import Search, SearchTrial
from edgebench.specs import Training


def lines(training: Training) -> list[str]:
    """What the search found; nothing if there was none."""
    search = training.search
    if search is None or search.best is None:
        return []
    found = f"search: {len(search.trials)} settings in {search.seconds:.1f} s, on {search.validation_images:,} "
    best = f"validation images; {search.best.accuracies[-1]:.1%} with {search.best.title}"
    return [found + best, f"  the recipe as given: {_given(search)}"]


def ended(search: Search, trial: SearchTrial) -> str:
    """How a setting ended: "chosen", "in rung 2 of 3", or why it could not be trained."""
    if trial is search.best:
        return "chosen"
    if trial.failed:
        return f"out: {trial.failed}"
    return f"in rung {len(trial.accuracies)} of {len(search.rungs)}"


def _given(search: Search) -> str:
    given, best = search.given, search.best
    if given is best:
        return "it is the best"
    if given.failed:
        return f"out: {given.failed}"
    rung = len(given.accuracies)
    where = f"in rung {rung} of {len(search.rungs)}, where the best one had {best.accuracies[rung - 1]:.1%}"
    return f"{given.accuracies[-1]:.1%} {where}"
