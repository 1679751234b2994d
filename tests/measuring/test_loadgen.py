"""What LoadGen writes is read right, whatever it is; the load fits the time; a broken session ends the test."""

from __future__ import annotations

import json
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from conftest import needed
from factories import make_job
from hypothesis import given
from hypothesis import strategies as st

from edgebench.errors import EdgebenchError
from edgebench.measuring.options import RunOptions
from edgebench.measuring.scenarios import loadgen, multi_stream, offline, server, single_stream
from edgebench.measuring.scenarios.loadgen_log import parse, read_detail

# As LoadGen 6.0.17 wrote them; the parameters at the end are left out.
SINGLE_STREAM = """\
================================================
MLPerf Results Summary
================================================
SUT name : PySUT
Scenario : SingleStream
Mode     : PerformanceOnly
90.0th percentile latency (ns) : 2140596
Result is : VALID
  Min duration satisfied : Yes
  Min queries satisfied : Yes
  Early stopping satisfied: Yes
Early Stopping Result:
 * Processed at least 64 queries (471).
 * Would discard 31 highest latency queries.
 * Early stopping 90.0th percentile estimate: 2148336
 * Not enough queries processed for 99.0th percentile
 early stopping estimate (would need to process at
 least 662 total queries).

================================================
Additional Stats
================================================
QPS w/ loadgen overhead         : 469.58
QPS w/o loadgen overhead        : 472.95

Min latency (ns)                : 2056526
Max latency (ns)                : 2484765
Mean latency (ns)               : 2114391
50.00 percentile latency (ns)   : 2108336
90.00 percentile latency (ns)   : 2140596
99.00 percentile latency (ns)   : 2223776
99.90 percentile latency (ns)   : 2484765
"""
OVERLOADED = """\
Scenario : Server
Mode     : PerformanceOnly
Completed samples per second    : 480.67
Result is : INVALID
  Performance constraints satisfied : NO
  Min duration satisfied : NO
  Min queries satisfied : Yes
  Early stopping satisfied: NO
Recommendations:
 * Reduce target QPS to improve latency.
 * The test exited early, before enough queries were issued.
   See the detailed log for why this may have occurred.
Early Stopping Result:
 * Run unsuccessful.
 * Processed 503 queries.
 * Would need to run at least 54503 more queries,
 with the run being successful if every additional
 query were under latency.

================================================
Additional Stats
================================================
Scheduled samples per second : 100237.37
99.00 percentile latency (ns)   : 1028998982
"""
OFFLINE = """\
Scenario : Offline
Samples per second: 477.049
Result is : VALID
  Min duration satisfied : Yes

Min latency (ns)                : 2447326
50.00 percentile latency (ns)   : 579911184
"""


def test_a_valid_summary_is_read() -> None:
    parsed = parse(SINGLE_STREAM)
    assert parsed.valid and parsed.reasons == ()
    assert parsed.figures == {
        "p50_latency_ns": 2108336, "p90_latency_ns": 2140596, "p99_latency_ns": 2223776, "p999_latency_ns": 2484765,
        "early_stopping_p90_latency_ns": 2148336, "min_latency_ns": 2056526, "max_latency_ns": 2484765,
        "mean_latency_ns": 2114391, "queries_per_s": 469.58,
    }  # fmt: skip


def test_an_invalid_summary_gives_every_reason() -> None:
    parsed = parse(OVERLOADED)
    assert not parsed.valid
    assert parsed.reasons == (
        "Performance constraints satisfied: NO",
        "Min duration satisfied: NO",
        "Early stopping satisfied: NO",
        "Reduce target QPS to improve latency.",
        "The test exited early, before enough queries were issued. "
        "See the detailed log for why this may have occurred.",
        "Run unsuccessful.",
        "Processed 503 queries.",
        "Would need to run at least 54503 more queries, with the run being successful if every additional query were "
        "under latency.",
    )
    assert parsed.figures == {
        "completed_samples_per_s": 480.67, "scheduled_samples_per_s": 100237.37, "p99_latency_ns": 1028998982,
    }  # fmt: skip


def test_the_latencies_of_offline_are_no_figures() -> None:
    assert parse(OFFLINE).figures == {"samples_per_s": 477.049}


@pytest.mark.parametrize("text", ["", "Result is :", "Result is : MAYBE", "\0\0", "Result was : VALID"])
def test_a_text_without_a_verdict_is_refused(text: str) -> None:
    with pytest.raises(EdgebenchError, match="no verdict"):
        parse(text)


@given(st.text())
def test_garbage_beside_a_verdict_does_no_harm(garbage: str) -> None:
    parsed = parse(f"{garbage}\nResult is : INVALID\n{garbage}")
    json.dumps(parsed.figures, allow_nan=False)


@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "", "12 apples", "1e999"])
def test_what_is_no_number_is_no_figure(value: str) -> None:
    assert parse(f"Result is : VALID\nSamples per second: {value}\n").figures == {}


def test_the_detail_log_tells_the_version_and_the_errors() -> None:
    def entry(key: str, value: str, is_error: bool) -> str:
        return ":::MLLOG " + json.dumps({"key": key, "value": value, "metadata": {"is_error": is_error}})

    lines = [
        entry("loadgen_version", "6.0.17 @ d6147c7eb7", False),
        "", "not json", "[1]", ":::MLLOG {", ":::MLLOG 3",
        entry("error_runtime", "IssueQueryThread 0 Ending early: Too many outstanding queries.", True),
    ]  # fmt: skip
    version, errors = read_detail("\n".join(lines))
    assert version == "6.0.17 @ d6147c7eb7"
    assert errors == ("Ending early: Too many outstanding queries.",)


def test_the_queries_are_as_many_as_the_verdict_takes_where_they_fit() -> None:
    job = make_job(scenario="multi-stream", warmup_s=0.5, duration_s=2.0, time_limit_s=122.5)
    fast, slow = loadgen.make_plan(multi_stream.LOAD, job, 500.0), loadgen.make_plan(multi_stream.LOAD, job, 50.0)
    assert (fast.min_queries, slow.min_queries) == (662, 1)
    assert slow.needed_s == pytest.approx(662 * 8 / 50)
    invalid = parse("Result is : INVALID\n  Early stopping satisfied: NO\n")
    hint = loadgen.hint(multi_stream.LOAD, job, slow, invalid, 14)
    assert "662 queries" in hint and "--batch 8" in hint
    granted = float(hint.split("--time-limit ")[1].split()[0])
    again = make_job(scenario="multi-stream", time_limit_s=granted)
    assert loadgen.make_plan(multi_stream.LOAD, again, 50.0).min_queries == 662


def test_the_backlog_of_a_server_is_done_within_the_time_limit() -> None:
    job = make_job(scenario="server", rate_hz=1e5, deadline_ms=1e6, duration_s=2.0, time_limit_s=122.5)
    plan = loadgen.make_plan(server.LOAD, job, 500.0)
    assert plan.budget_s + plan.backlog / 500 < job.time_limit_s


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scenario": "single-stream", "batch": 2}, "one image"),
        ({"scenario": "server", "batch": 8}, "one image"),
        ({"scenario": "multi-stream", "batch": 3}, "batches of 3"),
        ({"scenario": "server", "rate_hz": 1e9}, "2e\\+09 queries"),
        ({"scenario": "server", "rate_hz": 1e-9}, "2e-09 queries"),
        ({"scenario": "single-stream", "streams": 2}, "--streams"),
    ],
)
def test_what_no_query_can_be_is_refused(options: dict, says: str) -> None:
    with pytest.raises(EdgebenchError, match=says):
        RunOptions(**options).check()


@pytest.mark.parametrize("scenario", [single_stream, multi_stream, server, offline])
def test_a_broken_session_ends_the_test_with_its_own_error(scenario: ModuleType, tmp_path, monkeypatch) -> None:
    needed("mlperf_loadgen", "mlcommons-loadgen has no wheel for this machine")
    monkeypatch.chdir(tmp_path)
    seen = SimpleNamespace(runs=0)

    def run(request: dict) -> None:
        seen.runs += 1
        if seen.runs > 100:  # well after the estimate, which stops at 50
            raise RuntimeError("the session broke")

    job = make_job(
        scenario=scenario.SCENARIO.name,
        rate_hz=1000,
        deadline_ms=5,
        warmup_s=0,
        duration_s=0.1,
        time_limit_s=5,
        max_iterations=50,
    )
    with pytest.raises(RuntimeError, match="the session broke"):
        loadgen.perform(scenario.LOAD, [run], [{"input": np.zeros(1)}] * 8, job)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("batch", "inferences"), [(1, 8), (8, 1)])
def test_a_query_of_multi_stream_takes_as_many_inferences_as_its_batch_leaves(batch: int, inferences: int) -> None:
    needed("mlperf_loadgen", "mlcommons-loadgen has no wheel for this machine")
    job = make_job(
        scenario="multi-stream", batch=batch, warmup_s=0, duration_s=0.1, time_limit_s=300, max_iterations=50
    )
    runs: list[dict] = []
    told = loadgen.perform(multi_stream.LOAD, [runs.append], [{"input": np.zeros(batch)}] * 8, job)
    queries = told.figures["queries"]
    assert queries >= 662 and 0 <= len(runs) - queries * inferences <= 51, "and those of the warm-up and the estimate"
