"""What a tuning makes of its measurements: the ratios of a race, and what was measured before Ctrl-C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_artifact, make_job, make_result

from edgebench.choosing import tuning
from edgebench.choosing.tuned import Trial, Tuned, measure_tuned
from edgebench.errors import BadFile
from edgebench.machine.device import detect
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned
from edgebench.records import jsonio
from edgebench.records.race import Lag, Raced
from edgebench.records.result import Samples
from edgebench.records.workspace import Workspace, now

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


def test_a_race_is_decided_by_ratios_and_not_by_each_ones_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a single launch beside load, the slower one may have had the better moments."""
    own_ns, raced = (40_000_000, 30_000_000), []
    for job, ns, ratio in zip(JOBS, own_ns, (1.0, 1.5), strict=False):
        lag = Lag(job=JOBS[0].identity, ratio=ratio, low=None, high=None, standing="undecided") if ratio > 1 else None
        known = Raced(
            race="one", effects=(0.0,), settings=2, scatter=0.0, fastest=lag, next=lag, median_ns=None, rounds=3,
            disturbed=0,
        )  # fmt: skip
        samples = Samples(latency_ns=(ns,) * 3, warmup_ns=(), wall_ns=3 * ns)
        result = make_result(job=job, artifact=ARTIFACT)
        launch = replace(result.launches[0], samples=samples)
        raced.append(replace(result, launches=(launch,), race=known))
    monkeypatch.setattr(tuning, "race", lambda planned, options, on_phase: (raced, "max_seconds"))
    bench = tuning._Bench(duration_s=1.0, goal="latency", artifacts={ARTIFACT.identity: ARTIFACT})
    costs = bench.race(JOBS[:2], detect(), lambda phase: None)
    assert costs == {JOBS[0].identity: 40_000_000, JOBS[1].identity: 60_000_000}


@pytest.mark.parametrize("value", ["/etc/x", "..\\x", "caches/here", "here", ".."])
def test_a_file_of_settings_says_not_where_a_library_writes(tmp_path: Path, value: str) -> None:
    made, home = make_artifact(tmp_path / "artifacts" / "net"), Workspace(tmp_path)
    best = Trial(
        artifact=made.identity, name="net", format="onnx", precision="fp32", runtime="onnxruntime", threads=1, batch=1,
        streams=1, options={"tensorrt.trt_engine_cache_path": value},
    )  # fmt: skip
    kept = Tuned(
        goal="latency", device="cpu", compute="cpu", evidence="measured", origin=made.identity, best=best, eager=None,
        default=None, trials=(), accuracy_bound=0.01, seconds=1.0, created=now(),
    )  # fmt: skip
    jsonio.write(home.tuned(made, "cpu", "latency"), kept)
    with pytest.raises(BadFile, match=r"tuning tries no tensorrt\.trt_engine_cache_path like this") as refused:
        measure_tuned([made], home, "cpu", RunOptions())
    assert "--runtime-option tensorrt.trt_engine_cache_path=" in refused.value.fix
    own = RunOptions(runtimes=("onnxruntime",), runtime_options={"tensorrt.trt_engine_cache_path": "mine"})
    assert measure_tuned([made], home, "cpu", own)[1].runtime_options == own.runtime_options
    plain = replace(kept, best=replace(best, options={"spinning": "off"}))
    jsonio.write(home.tuned(made, "cpu", "latency"), plain)
    assert measure_tuned([made], home, "cpu", RunOptions())[1].runtime_options == {"spinning": "off"}
