"""Cuts rows into splits so that no two splits share a picture, a near copy of one, or a group that the user named."""

from __future__ import annotations

import numpy as np

from edgebench.training.data.subset import is_validation


def conflicting(same: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rows of pictures that have two labels or more; those of one picture follow each other."""
    order = np.lexsort((labels, same))
    new = np.diff(same[order]) != 0
    of_two = ~new & (np.diff(labels[order]) != 0)
    doubtful = np.isin(same[order], same[order][1:][of_two])
    return order[doubtful]


def distinct(same: np.ndarray, rows: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """The rows without those whose picture is `taken`, bool by number, or equals that of an earlier row, in order."""
    rows = rows[~taken[same[rows]]]
    return rows[np.sort(np.unique(same[rows], return_index=True)[1])]


def held_out(order: np.ndarray, alone: np.ndarray, labels: np.ndarray, groups: np.ndarray, keep: int) -> np.ndarray:
    """Which positions to hold out, bool (n,), so that each group is held out whole or not at all.

    `order`: all positions, those to be considered first at the front; `alone`: those that would be held out if each
    picture were a group of its own, which is then the answer. Otherwise a group is held out where this brings the
    number of pictures of its classes nearer to that in `alone`. Each class is held out at least once, and keeps `keep`
    groups, as far as its groups allow.
    """
    groups = np.unique(groups, return_inverse=True)[1].ravel()
    if len(groups) == groups.max(initial=-1) + 1:
        return alone
    classes = int(labels.max()) + 1
    wanted = np.bincount(labels[alone], minlength=classes)
    kinds, counts = np.unique(groups * classes + labels, return_counts=True)  # pictures of each class in each group
    starts = np.searchsorted(kinds, np.arange(groups.max() + 2) * classes)
    inside, missing = kinds % classes, wanted.copy()
    left = np.bincount(inside, minlength=classes)  # groups of each class that are not held out
    chosen = np.zeros(groups.max() + 1, bool)
    first = np.concatenate([order[alone[order]], order[~alone[order]]])
    seen = groups[first]
    turns = seen[np.sort(np.unique(seen, return_index=True)[1])]

    def parts(group: int) -> tuple[np.ndarray, np.ndarray]:
        cut = slice(starts[group], starts[group + 1])
        return inside[cut], counts[cut]

    def take(group: int) -> None:
        of, many = parts(group)
        chosen[group] = True
        missing[of] -= many
        left[of] -= 1

    for group in turns.tolist():
        of, many = parts(group)
        nearer = np.abs(missing[of]).sum() - np.abs(missing[of] - many).sum()
        if nearer > 0 and (left[of] > keep).all():
            take(group)
    has = np.zeros(classes, bool)
    has[inside[chosen[kinds // classes]]] = True
    for label in np.flatnonzero((wanted > 0) & ~has):
        if has[label]:
            continue
        able = [group for group in np.unique(kinds[inside == label] // classes) if (left[parts(group)[0]] > keep).all()]
        if able:
            best = min(able, key=lambda group: parts(group)[1].sum())
            take(best)
            has[parts(best)[0]] = True
    return chosen[groups]


def arranged(order: np.ndarray, rank: np.ndarray, labels: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """The positions of `order`, exchanged within their classes so that those for validation are evenly spread in it.

    labels, validation: by position. As far as there are some, a position for validation is where `is_validation` of the
    rank in its class says so: then each subset has its share of them.
    """
    new = order.copy()
    slots_of = np.lexsort((rank, labels[order]))
    for slots in np.split(slots_of, np.flatnonzero(np.diff(labels[order][slots_of])) + 1):
        inside = order[slots]
        held, others = inside[validation[inside]], inside[~validation[inside]]
        meant = is_validation(rank[slots])
        short = int(meant.sum()) - len(held)
        if short > 0:
            meant[np.flatnonzero(meant)[-short:]] = False
        elif short < 0:
            meant[np.flatnonzero(~meant)[short:]] = True
        new[slots[meant]], new[slots[~meant]] = held, others
    return new
