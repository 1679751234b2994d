"""Ctrl-C in a tuning: what was measured by then counts."""

from __future__ import annotations

import pytest
from factories import make_artifact, make_job, make_result

from edgebench.choosing import tuning
from edgebench.choosing.tuned import Trial
from edgebench.machine.device import detect
from edgebench.measuring.running import Planned

ARTIFACT = make_artifact()
JOBS = [make_job(ARTIFACT, threads=n) for n in (1, 2, 3)]


def tuned(monkeypatch: pytest.MonkeyPatch, measured: int) -> tuning.Tuned:
    """A tuning of three settings, cut short after so many were measured."""
    done: list[str] = []

    def run_job(job, artifact, **options):
        if len(done) == measured:
            raise KeyboardInterrupt
        done.append(job.identity)
        return make_result(job=job, artifact=artifact)

    monkeypatch.setattr(tuning.process, "run_job", run_job)
    monkeypatch.setattr(tuning, "_settings", lambda job, goal, batches: JOBS)
    planned = [Planned(job=JOBS[0], artifact=ARTIFACT, profile=detect())]
    return tuning.search(planned, "throughput", accuracy_drop=0.01, duration_s=1.0, images=None)


def test_it_keeps_the_best_of_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tuned(monkeypatch, 2)
    assert found.interrupted and len(found.trials) == 2 and isinstance(found.best, Trial)
    assert not tuned(monkeypatch, 1000).interrupted


def test_before_anything_was_measured_there_is_nothing_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        tuned(monkeypatch, 0)
