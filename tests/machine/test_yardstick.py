"""The machine's own speed: what it costs, and what two sides of it say."""

from __future__ import annotations

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebench.machine import yardstick
from edgebench.machine.yardstick import Yardstick

STICKS = st.lists(st.builds(Yardstick, st.integers(1, 10**12), st.integers(1, 10**12)), min_size=1, max_size=20)


def test_its_memory_goes_back_to_the_system() -> None:
    before = psutil.Process().memory_info().rss
    taken = [yardstick.take() for _ in range(3)]
    grown = psutil.Process().memory_info().rss - before
    assert grown < yardstick.COPIED_BYTES, "a launch's peak memory would be that of its yardstick"
    assert all(one.copy_ns > 0 and one.loop_ns > 0 for one in taken)


def test_without_the_memory_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "COPIED_BYTES", 2**60)
    assert yardstick.take() is None


@given(STICKS, STICKS)
def test_swapped_sides_are_the_inverse(base: list[Yardstick], new: list[Yardstick]) -> None:
    for there, back in zip(yardstick.changes(base, new), yardstick.changes(new, base), strict=True):
        assert there == pytest.approx(1 / back)
