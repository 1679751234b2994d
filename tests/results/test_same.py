"""When two results are of the same measurement, and what of their jobs stays as it was on disk."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from factories import make_result

from edgebench.measuring.options import RunOptions
from edgebench.records import jsonio
from edgebench.records.result import Result, SearchPoint
from edgebench.results.same import measurement


def searched(batch: int, streams: int, *tried: tuple[int, int]) -> Result:
    points = tuple(SearchPoint(*each, 100.0) for each in tried)
    return make_result(scenario="throughput", batch=batch, streams=streams, search=points)


@pytest.mark.parametrize("closeness", ["repetition", "meaning", "exactly"])
def test_a_search_is_one_measurement_wherever_it_ends_but_for_what_was_given(closeness) -> None:
    free = [searched(2, 2, (1, 1), (1, 2), (2, 2)), searched(4, 1, (1, 1), (1, 2), (2, 1), (4, 1))]
    assert measurement(free[0], closeness) == measurement(free[1], closeness)
    given = [searched(batch, 2, (batch, 1), (batch, 2)) for batch in (4, 8)]
    assert measurement(given[0], closeness) != measurement(given[1], closeness), "the user gave another --batch"


def test_how_long_it_went_on_makes_a_sustained_run_another_but_no_other_one() -> None:
    for scenario, alike in (("sustained", False), ("latency", True)):
        one, other = (make_result(scenario=scenario, duration_s=seconds) for seconds in (60.0, 600.0))
        assert (measurement(one, "meaning") == measurement(other, "meaning")) == alike
        assert measurement(one, "repetition") == measurement(other, "repetition")


def test_options_of_a_scenario_from_elsewhere_count_also_where_it_is_not_installed() -> None:
    one, other = (make_result(scenario="elsewhere", own={"depth": depth}) for depth in (1, 2))
    for closeness in ("repetition", "meaning", "exactly"):
        assert measurement(one, closeness) != measurement(other, closeness)


def test_the_closer_one_looks_the_less_is_alike() -> None:
    one = make_result()
    tuned = replace(one, job=replace(one.job, options={"a": "b"}))
    assert measurement(one, "meaning") == measurement(tuned, "meaning")
    assert measurement(one, "exactly") != measurement(tuned, "exactly")
    assert measurement(one, "answers") == measurement(replace(one, job=replace(one.job, threads=7)), "answers")


def test_the_options_of_a_sweep_that_the_first_release_wrote_are_read() -> None:
    told = {
        "runtimes": ["onnxruntime"], "compute": None, "scenario": "camera", "batch": None, "streams": None,
        "threads": 2, "rate_hz": 60.0, "deadline_ms": None, "minutes": None, "warmup_s": 0.5, "duration_s": 2.0,
        "time_limit_s": None, "memory_limit_mib": None, "strict": False, "unverified": False, "runtime_options": {},
        "policy": {"launches": 5, "precision_target": 0.01, "max_seconds": 60.0},
        "power": {"meter": "auto", "watts": None, "seconds": 10.0},
    }  # fmt: skip
    read = jsonio.decode(RunOptions, told, "it")
    assert read == RunOptions(runtimes=("onnxruntime",), scenario="camera", threads=2, rate_hz=60.0)
    assert json.loads(jsonio.dumps(read)) == told, "and written as before"
