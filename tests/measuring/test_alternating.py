"""Bursts by turns: fair to both sides, and ended in time."""

from __future__ import annotations

from array import array

import pytest

from edgebench.measuring import alternating


class Stub:
    """A worker whose every inference takes this long by a clock that both sides share, and that may grow."""

    def __init__(self, latency_ns: float, said: list[str], name: str, drift: float = 0.0) -> None:
        self._latency_ns, self._said, self._name, self._drift = latency_ns, said, name, drift

    def burst(self, count: int) -> array:
        self._said.append(self._name)
        mood = 1 + self._drift * len(self._said)  # of the machine: the same for both, worse with each burst
        return array("q", [round(self._latency_ns * mood)] * max(1, count - count // 4))


def test_the_order_is_swapped_each_time_and_a_burst_fills_its_time() -> None:
    said: list[str] = []
    base, new = alternating.alternate(Stub(1e6, said, "A"), Stub(2e6, said, "B"), until=lambda: len(said) >= 10)
    assert said[2:] == ["A", "B", "B", "A", "A", "B", "B", "A"], "the first two find out how many make a burst"
    assert base == [1_000_000] * 4 and new == [2_000_000] * 4


def test_a_machine_that_grows_slower_favours_neither_side() -> None:
    said: list[str] = []
    base, new = alternating.alternate(
        Stub(1e6, said, "A", 0.01), Stub(1e6, said, "B", 0.01), until=lambda: len(said) >= 122
    )  # fmt: skip
    assert sum(new) / sum(base) == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("slow", [False, True])
def test_it_ends_when_told_but_not_before_there_are_a_few(slow: bool) -> None:
    said: list[str] = []
    base, new = alternating.alternate(Stub(1e6, said, "A"), Stub(1e6, said, "B"), until=lambda: slow or len(said) > 20)
    assert len(base) == len(new) == (alternating.FEWEST if slow else 10)
