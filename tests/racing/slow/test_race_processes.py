"""Races of real processes by a scripted clock: their ranking, what becomes of faults, and what a killed one leaves."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from conftest import PLUGINS, SCRIPTED_CLOCK, Command, clean_environment, eventually

from edgebench.machine.device import detect
from edgebench.measuring.options import RunOptions
from edgebench.measuring.running import Planned
from edgebench.racing import heat, race, together
from edgebench.racing.race import RaceOptions
from edgebench.records.jobs import Job, Policy
from edgebench.results import store
from edgebench.specs import Artifact


def planned(artifact: Artifact, runtime: str, option: str, **changes) -> Planned:
    key, value = option.split("=")
    told = {"threads": 1, "warmup_s": 0.01, "duration_s": 0.01, "time_limit_s": 100.0, "batch": 1} | changes
    job = Job(
        artifact=artifact.identity, runtime=runtime, device="cpu", compute="cpu", options={key: value}, **told
    )  # fmt: skip
    return Planned(job=job, artifact=artifact, profile=detect())


def test_a_race_ranks_what_is_scripted_and_faults_leave_with_their_status(
    onnx_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGINS), SCRIPTED_CLOCK["PYTHONPATH"]]))
    settings = [
        planned(onnx_artifact, "fake", "latency_ms=2"),
        planned(onnx_artifact, "faulty", "fault=segfault"),
        planned(onnx_artifact, "fake", "latency_ms=3"),
        planned(onnx_artifact, "faulty", "fault=wrong"),
        planned(onnx_artifact, "faulty", "fault=leak", memory_limit_mib=700),
    ]
    options = RunOptions(policy=Policy(launches=2, max_seconds=1000))
    found = {result.job.identity: result for result, _ in together.run(settings, tmp_path, options)}
    fast, crashed, slow, wrong, leak = (found[item.job.identity] for item in settings)
    assert [one.status for one in (fast, crashed, slow, wrong, leak)] == [
        "ok", "crashed", "ok", "failed", "out_of_memory",
    ]  # fmt: skip
    assert "SIGSEGV" in crashed.message and "not torch's" in wrong.message and "700 MiB" in leak.message
    assert slow.race.fastest.ratio == pytest.approx(1.5, rel=1e-3) and slow.race.fastest.job == fast.job.identity
    assert fast.race.fastest is None and fast.race.settings == 2 and fast.race.race == slow.race.race
    assert fast.summary.median_ns == pytest.approx(2_001_000, abs=2000), "its own samples are kept"
    assert fast.parity is not None and fast.peak_memory_bytes and fast.launches[0].effective.provider == "fake"
    assert len(fast.launches) == 2 and fast.stop == "launches"
    on_disk, problems = store.read_all(tmp_path)
    assert len(on_disk) == 5 and not problems


def test_a_hang_is_ended_by_the_time_limit_and_the_last_one_left_is_measured_alone(
    onnx_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    settings = [
        planned(onnx_artifact, "fake", "latency_ms=1"),
        planned(onnx_artifact, "faulty", "fault=hang", time_limit_s=6.0),
    ]
    found = {r.job.runtime: r for r, _ in together.run(settings, tmp_path, RunOptions(policy=Policy(launches=1)))}
    assert found["faulty"].status == "timeout" and "6 s" in found["faulty"].message
    assert found["fake"].status == "ok" and found["fake"].race is None and found["fake"].stop == "launches"


def test_the_command_races_by_default_and_one_by_one_where_asked(
    in_process: Command, onnx_artifact: Artifact, openvino_artifact: Artifact, tmp_path: Path
) -> None:
    asked = ("run", onnx_artifact.path, openvino_artifact.path, "--runtime", "fake", "--launches", "1")
    for flags, raced in ((), True), (("--no-race",), False):
        done = in_process(*asked, "--duration", "0.05", *flags, "--workspace", tmp_path / str(raced), "--json")
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        assert len(rows) == 2 and all(bool(row["race"]) == raced for row in rows)


def test_a_killed_race_leaves_no_process_and_keeps_its_results(onnx_artifact: Artifact, tmp_path: Path) -> None:
    def workers() -> list[str]:
        found = []
        for one in psutil.process_iter(["cmdline", "status"]):
            if str(onnx_artifact.path) in (one.info["cmdline"] or []) and "--turns" in one.info["cmdline"]:
                found.append(one.info["status"])
        return found

    command = [sys.executable, "-m", "edgebench", "run", str(onnx_artifact.path), "--workspace", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--duration", "0.1"], stderr=subprocess.DEVNULL, env=clean_environment(), start_new_session=True
    ) as it:
        written = (tmp_path / "results").glob  # of a round, one after another
        assert eventually(lambda: len(list(written("*.json"))) >= 2 and psutil.STATUS_STOPPED in workers())
        it.kill()
    assert eventually(lambda: not workers())
    on_disk, _ = store.read_all(tmp_path / "results")
    assert len(on_disk) >= 2 and {result.stop for result in on_disk} == {"interrupted"}
    assert all(result.race for result in on_disk)


def test_the_processes_of_a_heat_hold_no_more_than_its_room(
    onnx_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three fit, of 70 to 95 MiB each: they race in two heats, which never hold more."""
    seen: list[int] = []
    ours = psutil.Process()
    others = ours.children()  # what tests before this one left, such as a cluster

    def look(self: heat._Field, numbers: object, before=heat._Field._look) -> None:
        sizes = []
        for child in set(ours.children()).difference(others):
            with contextlib.suppress(psutil.Error):
                sizes.append(child.memory_info().rss)
        seen.append(sum(sizes))
        before(self, numbers)

    monkeypatch.setattr(heat._Field, "_look", look)
    settings = [planned(onnx_artifact, "fake", f"latency_ms={n}") for n in (1, 2, 3)]
    results, _ = race.race(settings, RaceOptions(max_seconds=1000, launches=1, memory_mib=200))
    assert [result.race.settings for result in results] == [3] * 3
    assert 100 << 20 < max(seen) <= 200 << 20
