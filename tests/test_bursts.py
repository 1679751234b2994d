"""Bursts by turns: fair to both sides, and ended in time."""

from __future__ import annotations

from array import array

import pytest

from edgebench.engines import bursts


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
    ratios, base, new = bursts.alternate(
        Stub(1e6, said, "A"), Stub(2e6, said, "B"), pairs=4, until=lambda: False
    )  # fmt: skip
    assert said[2:] == ["A", "B", "B", "A", "A", "B", "B", "A"], "the first two find out how many make a burst"
    assert ratios == [2.0] * 4 and base == [1_000_000] * 4 and new == [2_000_000] * 4


def test_a_machine_that_grows_slower_favours_neither_side() -> None:
    said: list[str] = []
    ratios, _, _ = bursts.alternate(
        Stub(1e6, said, "A", 0.01), Stub(1e6, said, "B", 0.01), pairs=60, until=lambda: False
    )  # fmt: skip
    middle = sorted(ratios)[29:31]
    assert middle[0] < 1 < middle[1] and sum(middle) / 2 == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize(("pairs", "made"), [(2, 2), (50, 3)])
def test_it_ends_when_told_but_not_before_three_pairs(pairs: int, made: int) -> None:
    said: list[str] = []
    ratios, _, _ = bursts.alternate(Stub(1e6, said, "A"), Stub(1e6, said, "B"), pairs=pairs, until=lambda: True)
    assert len(ratios) == made
