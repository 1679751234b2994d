"""The search for the most throughput, on scripted surfaces: what it finds, what it tries, what it leaves alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from factories import make_artifact, make_job, make_launch, make_result, make_samples

from edgebench.measuring import process, search
from edgebench.records.jobs import Job
from edgebench.records.result import Result, SearchPoint

ARTIFACT = make_artifact()
JOB = make_job(ARTIFACT, scenario="throughput", duration_s=9.0)
Surface = Callable[[int, int], float | None]


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch):
    """Runs the search on a machine of eight cores where `surface(batch, streams)` gives the images a second."""

    def run(surface: Surface, cores: int = 8, job: Job = JOB, **fixed: int) -> tuple[Job, tuple[SearchPoint, ...]]:
        def run_job(job: Job, artifact: object, *, verify: bool) -> Result:
            assert not verify and job.duration_s <= search.PROBE_S, "a probe is short, and measures alone"
            throughput = surface(job.batch, job.streams)
            if throughput is None:
                return make_result(ARTIFACT, job=job, status="out_of_memory", message="no memory left")
            samples = replace(make_samples((1000,) * 10), wall_ns=round(10 * job.batch / throughput * 1e9))
            return replace(make_result(ARTIFACT, job=job), launches=(make_launch(samples),))

        monkeypatch.setattr(process, "run_job", run_job)
        monkeypatch.setattr(search, "available_cores", lambda: cores)
        return search.most_throughput(job, ARTIFACT, **fixed)

    return run


def hill(batch: int, streams: int) -> float:
    """One hill, its top at batch 8 with 4 in flight."""
    return 1000 / (1 + abs(batch - 8) / 8 + abs(streams - 4) / 4)


def test_it_finds_the_top_and_states_the_points(searched) -> None:
    job, points = searched(hill)
    assert (job.batch, job.streams) == (8, 4)
    assert replace(job, batch=1, streams=1) == JOB, "nothing else of the job was changed"
    assert len({(p.batch, p.streams) for p in points}) == len(points), "no point twice"
    for point in points:
        assert point.throughput_per_s == pytest.approx(hill(point.batch, point.streams), rel=1e-6)
    best = max(points, key=lambda p: p.throughput_per_s)
    assert (best.batch, best.streams) == (8, 4)


@pytest.mark.parametrize(("batch", "streams"), [(1, 1), (1, 8), (64, 1), (64, 8), (4, 2)])
def test_tops_in_every_corner(searched, batch: int, streams: int) -> None:
    def surface(b: int, s: int) -> float:
        return 1000 / (1 + abs(math.log2(b / batch)) + abs(math.log2(s / streams)))

    job, _ = searched(surface)
    assert (job.batch, job.streams) == (batch, streams)


def test_a_larger_batch_that_fills_the_cores_takes_the_streams_back(searched) -> None:
    job, _ = searched(lambda b, s: 200 * min(b, 8) + 10 * min(s, 8 / b))
    assert (job.batch, job.streams) == (8, 1)


def test_a_step_that_gains_less_than_noise_is_not_taken(searched) -> None:
    job, points = searched(lambda b, s: 1000 * (1 + 0.001 * b))
    assert job.batch == 1 and max(p.batch for p in points) == 2


def test_what_is_given_is_not_searched(searched) -> None:
    job, points = searched(hill, batch=2)
    assert (job.batch, job.streams) == (2, 4) and {p.batch for p in points} == {2}
    job, points = searched(hill, streams=1)
    assert (job.batch, job.streams) == (8, 1) and {p.streams for p in points} == {1}
    job, points = searched(hill, batch=2, streams=3)
    assert (job.batch, job.streams, points) == (2, 3, ())


def test_points_that_fail_are_told_and_survived(searched) -> None:
    job, points = searched(lambda b, s: None if b > 4 or s > 2 else hill(b, s))
    assert (job.batch, job.streams) == (4, 2)
    failed = [p for p in points if p.throughput_per_s is None]
    assert failed and {p.message for p in failed} == {"no memory left"}


def test_where_nothing_runs_the_measurement_itself_tells_why(searched) -> None:
    job, points = searched(lambda b, s: None)
    assert (job.batch, job.streams) == (1, 1)
    assert all(p.throughput_per_s is None for p in points)


@pytest.mark.parametrize(("cores", "limit", "tried"), [(1, None, {1}), (6, None, {1, 2, 4, 6}), (8, 2, {1, 2})])
def test_requests_in_flight_go_up_to_the_cores(searched, cores: int, limit: int | None, tried: set[int]) -> None:
    _, points = searched(lambda b, s: 100 / b, cores=cores, job=replace(JOB, cores=limit))
    assert {p.streams for p in points} == tried
