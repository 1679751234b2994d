"""Launches, from scripted workers: how many are made, why no more, what is kept when one fails or on Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from factories import make_artifact, make_job, make_launch, make_result, make_samples

from edgebench.measuring import launches as repeat_module
from edgebench.measuring import process
from edgebench.measuring.launches import repeat
from edgebench.records.jobs import Job, Policy
from edgebench.records.notices import Notice
from edgebench.records.result import Result, SustainedWindow

ARTIFACT = make_artifact()
JOB = make_job(ARTIFACT)
DEFAULT = Policy()
STEAL = Notice("steal_time", "the hypervisor took 3 %", "another machine")


def launched(ms: float, *notices: Notice) -> Result:
    """One launch whose every request took this long."""
    made = make_result(ARTIFACT, job=JOB, samples=make_samples((round(ms * 1e6),) * 40), notices=())
    return replace(made, launches=tuple(replace(launch, notices=notices) for launch in made.launches))


class Workers:
    """Stands in for `local.run_job`: gives the scripted results one by one, each taking `seconds` on its own clock."""

    def __init__(self, script: Iterable[Result | BaseException], seconds: float) -> None:
        self._script, self._seconds = iter(script), seconds
        self.now = 0.0
        self.verified: list[bool] = []

    def run_job(self, job: Job, artifact: object, *, verify: bool, on_phase: Callable[[str], None]) -> Result:
        self.verified.append(verify)
        self.now += self._seconds
        given = next(self._script)
        if isinstance(given, BaseException):
            raise given
        return replace(given, job=job)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Result, Workers]]:
    def run(
        script: Iterable[Result | BaseException], policy: Policy = DEFAULT, *, seconds: float = 1.0,
        job: Job = JOB, **options: object,
    ) -> tuple[Result, Workers]:  # fmt: skip
        workers = Workers(script, seconds)
        monkeypatch.setattr(process, "run_job", workers.run_job)
        monkeypatch.setattr(repeat_module, "time", workers)
        return repeat(job, ARTIFACT, policy, **options), workers

    return run


def test_it_stops_when_the_median_is_known_well_enough(measured) -> None:
    result, _ = measured([launched(10.0)] * 9)
    assert (result.stop, len(result.launches)) == ("precision", 5), "five at least, and here they agree"
    assert result.summary.launches == 5 and result.summary.median_ci95_ns == pytest.approx((10e6, 10e6))


def test_it_goes_on_while_the_launches_differ(measured) -> None:
    script = [launched(ms) for ms in (10, 12, 10, 12, 10)] + [launched(10.0)] * 60
    result, _ = measured(script, Policy(max_seconds=1000))
    assert result.stop == "precision" and len(result.launches) > 8
    low, high = result.summary.median_ci95_ns
    assert (high - low) / 2 <= 0.01 * result.summary.median_ns


@pytest.mark.parametrize(
    "policy",
    [Policy(launches=3), Policy(launches=1), Policy(launches=7, precision_target=0), Policy(precision_target=0)],
)
def test_exactly_the_launches_asked_for(measured, policy: Policy) -> None:
    """Fewer than five say nothing of how launches differ, so there is no precision to wait for; nor with target 0."""
    result, _ = measured([launched(ms) for ms in (10, 20) * 10], policy)
    assert (result.stop, len(result.launches)) == ("launches", policy.launches)
    assert (result.summary.median_ci95_ns is None) == (policy.launches < 5)


def test_more_launches_than_the_least_are_made_before_precision_is_looked_at(measured) -> None:
    result, _ = measured([launched(10.0)] * 20, Policy(launches=8))
    assert (result.stop, len(result.launches)) == ("precision", 8)


@pytest.mark.parametrize(("max_seconds", "made"), [(10, 3), (12, 4), (2, 1), (0.001, 1)])
def test_no_launch_is_begun_that_would_end_too_late(measured, max_seconds: float, made: int) -> None:
    result, workers = measured([launched(ms) for ms in (10, 20) * 10], Policy(max_seconds=max_seconds), seconds=3.0)
    assert (result.stop, len(result.launches)) == ("max_seconds", made)
    assert made == 1 or workers.now <= max_seconds


def test_the_first_launch_verifies_and_the_later_ones_do_not(measured) -> None:
    result, workers = measured([launched(10.0)] * 5)
    assert workers.verified == [True, False, False, False, False]
    assert result.parity is not None and result.parity.passed


def test_every_launch_keeps_its_samples_in_order(measured) -> None:
    result, _ = measured([launched(ms) for ms in (1, 2, 3)], Policy(launches=3))
    assert [launch.samples.latency_ns[0] for launch in result.launches] == [1_000_000, 2_000_000, 3_000_000]
    assert result.summary.n == 120 and result.summary.median_ns == 2_000_000


@pytest.mark.parametrize("status", ["crashed", "timeout", "out_of_memory", "failed"])
def test_a_launch_that_fails_ends_it_and_the_earlier_ones_are_kept(measured, status: str) -> None:
    bad = make_result(ARTIFACT, job=JOB, status=status, message="killed by SIGSEGV", log_tail="the end")
    result, _ = measured([launched(10.0, STEAL), launched(11.0), bad])
    assert (result.status, result.stop) == (status, "failed")
    assert result.message == "launch 3: killed by SIGSEGV" and result.log_tail == "the end"
    assert [launch.samples.latency_ns[0] for launch in result.launches] == [10_000_000, 11_000_000]
    assert result.summary is None, "what failed has no figures"
    assert [notice.code for notice in result.notices] == ["steal_time"]


def test_a_first_launch_that_fails_is_the_result(measured) -> None:
    bad = make_result(ARTIFACT, job=JOB, status="unsupported", message="no such accelerator")
    result, workers = measured([bad])
    assert result == replace(bad, stop="failed")
    assert len(workers.verified) == 1


def test_ctrl_c_returns_the_finished_launches_marked_interrupted(measured) -> None:
    result, _ = measured([launched(10.0), launched(10.0), KeyboardInterrupt()])
    assert (result.status, result.stop, len(result.launches)) == ("ok", "interrupted", 2)
    assert result.summary.launches == 2


def test_ctrl_c_before_the_first_launch_is_done_is_the_callers(measured) -> None:
    with pytest.raises(KeyboardInterrupt):
        measured([KeyboardInterrupt()])


def test_what_there_is_after_each_launch_can_be_kept_and_says_that_it_is_not_whole(measured) -> None:
    kept: list[Result] = []
    result, _ = measured([launched(10.0)] * 5, on_launch=kept.append)
    assert [(len(r.launches), r.stop, r.summary.launches) for r in kept] == [
        (n, "interrupted", n) for n in (1, 2, 3, 4)
    ]
    assert {r.created for r in kept} == {result.created}, "all are one file"


def test_notices_are_told_once_with_how_many_launches_had_them(measured) -> None:
    other = Notice("foreign_load", "others used 30 %", "stop them")
    script = [launched(10.0, STEAL), launched(10.0), launched(10.0, other, replace(STEAL, message="it took 9 %"))]
    result, _ = measured(script, Policy(launches=3))
    assert {notice.code: notice.message for notice in result.notices} == {
        "steal_time": "it took 9 % (in 2 of 3 launches)",
        "foreign_load": "others used 30 % (in 1 of 3 launches)",
    }
    alone, _ = measured([launched(10.0, STEAL)], Policy(launches=1))
    assert alone.notices == (STEAL,)


def test_minutes_on_end_are_not_repeated(measured) -> None:
    windows = tuple(
        SustainedWindow(
            start_s=float(i), n=40, median_ns=10**6, max_ns=10**6, mhz=None, temperature_c=None, throttled=False
        )
        for i in range(6)
    )
    one = launched(1.0)
    one = replace(one, launches=(make_launch(one.launches[0].samples, windows=windows),))
    result, _ = measured([one] * 3, job=replace(JOB, scenario="sustained"))
    assert (result.stop, len(result.launches)) == ("launches", 1)
    assert result.summary.sustained.verdict == "too_short"


def test_camera_frames_of_all_launches_are_counted(measured) -> None:
    job = replace(JOB, scenario="camera", rate_hz=30.0, deadline_ms=15.0)
    result, _ = measured([launched(10), launched(20)], Policy(launches=2), job=job)
    assert (result.summary.camera.frames, result.summary.camera.missed) == (80, 40)


def test_without_a_median_the_result_says_how_many_requests_were_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = make_result(ARTIFACT, job=JOB, samples=make_samples((9_000_000_000,) * 2), notices=())
    monkeypatch.setattr(process, "run_job", Workers([slow, slow, slow], 1.0).run_job)
    made = repeat(JOB, ARTIFACT, Policy(launches=2))
    assert made.summary.median_ns is None
    assert [(n.code, n.message) for n in made.notices] == [
        ("few_requests", "no median: it takes 6 requests, and 4 were made in the time that they had")
    ]
