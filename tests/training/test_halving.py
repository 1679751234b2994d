"""Successive halving finds the best, spends little on the rest, and is not fooled by one bad look."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.training.halving import CLOSE, FINALISTS, halve, rungs


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=40, unique=True))
def test_the_best_wins_and_the_others_are_in_order(true: list[float]) -> None:
    costs = halve(range(len(true)), lambda candidate, number: true[candidate])
    assert list(costs.values()) == sorted(costs.values())
    assert next(iter(costs.values())) == min(true)


def test_poor_candidates_are_looked_at_once() -> None:
    looks = Counter()

    def look(candidate: int, number: int) -> float:
        looks[candidate] += 1
        return 2.0**candidate

    halve(range(27), look)
    assert looks == Counter(
        dict.fromkeys(range(27), 1) | dict.fromkeys(range(9), 2) | dict.fromkeys(range(FINALISTS), 3)
    )


def test_whoever_is_close_to_the_best_gets_another_look() -> None:
    """The best one is disturbed in the first round, by less than what counts as close."""
    disturbed = {(0, 0): 1.0 * CLOSE - 0.01}
    costs = halve(range(30), lambda candidate, n: disturbed.get((candidate, n), 1.0 if candidate == 0 else 1.05))
    assert next(iter(costs)) == 0


def test_what_cannot_be_measured_is_out_and_the_rest_goes_on() -> None:
    costs = halve("abcdefgh", lambda candidate, number: None if candidate == "a" else ord(candidate))
    assert next(iter(costs)) == "b" and "a" not in costs
    assert halve("ab", lambda candidate, number: None) == {}


@pytest.mark.parametrize("always", [("z",), ("x", "y", "z")])
def test_candidates_to_compare_with_stay(always: tuple[str, ...]) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    costs = halve(letters, lambda candidate, number: float(ord(candidate)), always=always)
    assert set(always) <= set(costs) and next(iter(costs)) == "a"


def test_rungs_are_known_beforehand() -> None:
    assert [rungs(n) for n in (1, 3, 4, 9, 27)] == [(1,), (3,), (4, 3), (9, 3), (27, 9, 3)]
    looks = Counter()
    halve(range(27), lambda candidate, number: looks.update([number]) or 2.0**candidate)
    assert tuple(looks.values()) == rungs(27), "as halve does it, where nobody is close to the best"
