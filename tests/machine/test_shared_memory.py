"""The swap guard: what was measured while swap grew is void where the GPU shares the memory, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from factories import make_result

from edgebench.machine import shared_memory
from edgebench.machine.profiles import load_profile

ORIN, PC = load_profile("jetson_orin_nano"), load_profile("cpu")
MIB = 2**20


def measured(*swap: tuple[int | None, int | None], **changes):
    """A result of as many launches as there are pairs: swap in use before and after each, in bytes."""
    (one,) = make_result().launches
    launches = [replace(one, before={"swap_used_bytes": a}, after={"swap_used_bytes": b}) for a, b in swap]
    return replace(make_result(**changes), launches=tuple(launches))


def test_a_result_is_void_if_swap_grew_in_one_of_its_launches():
    found = shared_memory.voided(measured((0, 0), (5 * MIB, 8 * MIB), (8 * MIB, 8 * MIB)), ORIN)
    assert (found.status, found.summary) == ("failed", None) and "3.0 MiB in launch 2" in found.message
    assert [notice.code for notice in found.notices] == ["swap_grew"] and found.notices[0].remedy
    assert len(found.launches) == 3, "what was seen is kept, to look at"


@pytest.mark.parametrize("swap", [[(0, 0)], [(9 * MIB, 9 * MIB)], [(9 * MIB, 2 * MIB)], [(None, 5)], [(5, None)]])
def test_swap_that_did_not_grow_or_is_not_told_voids_nothing(swap):
    result = measured(*swap)
    assert shared_memory.voided(result, ORIN) is result


def test_elsewhere_it_stands():
    grown = [(0, MIB)]
    assert shared_memory.voided(measured(*grown), PC).status == "ok"
    for evidence in ("emulated", "scripted"):
        assert shared_memory.voided(measured(*grown, evidence=evidence), ORIN).status == "ok"
    failed = measured(*grown, status="timeout")
    assert shared_memory.voided(failed, ORIN) is failed


@pytest.mark.parametrize(
    ("before", "after", "drop"), [(900, 300, 600), (300, 900, 0), (None, 5, None), (5, None, None)]
)
def test_the_drop_of_available_memory_is_what_the_model_took(before, after, drop):
    launch = make_result().launches[0]
    there = {"memory_available_bytes": before}, {"memory_available_bytes": after}
    assert shared_memory.available_drop_bytes(replace(launch, before=there[0], after=there[1])) == drop
