"""When two results are of the same measurement, and what of their jobs stays as it was on disk."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from factories import make_result

from edgebench.comparing import pairing
from edgebench.measuring.options import RunOptions
from edgebench.records import jsonio
from edgebench.records.jobs import steering
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


def test_what_steers_the_threads_from_outside_makes_it_another_measurement() -> None:
    """OMP_WAIT_POLICY of a shell changed the times of workers, and no result held it."""
    plain, spins = make_result(), make_result(environment={"OMP_WAIT_POLICY": "active"})
    for closeness in ("repetition", "exactly"):
        assert measurement(plain, closeness) != measurement(spins, closeness)
    told = pairing.differences(pairing.ran(plain), pairing.ran(spins))
    assert told == ["environment's OMP_WAIT_POLICY unknown → active"]
    assert "environment" not in json.loads(jsonio.dumps(plain.job)), "and jobs are as they were without it"


def test_the_variables_that_steer_are_those_of_threads_and_of_matrices() -> None:
    given = dict.fromkeys(
        ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "GOMP_SPINCOUNT", "OPENBLAS_CORETYPE", "MKL_NUM_THREADS",
         "OMP_NUM_THREADS", "PATH", "HOME", "COMPANY_TOKEN", "MKL_EMPTY"), "1",
    )  # fmt: skip
    assert steering(given | {"MKL_EMPTY": ""}) == dict.fromkeys(
        ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_CORETYPE"), "1"
    )


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
