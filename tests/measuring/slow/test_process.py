"""Workers that fail in every way: each becomes its own typed status, and the next measurement runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from conftest import PATIENCE_S, PLUGINS, Command, clean_environment, eventually

from edgebench.measuring import process
from edgebench.records import jsonio, replacing
from edgebench.records.jobs import Job
from edgebench.records.result import Result
from edgebench.results import store
from edgebench.specs import Artifact


@pytest.fixture(autouse=True)
def faulty_runtime_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))


def job(artifact: Artifact, fault: str, **changes) -> Job:
    made = Job(
        artifact=artifact.identity, runtime="faulty", device="cpu", compute="cpu", threads=1,
        warmup_s=0.1, duration_s=0.3, time_limit_s=PATIENCE_S, options={"fault": fault},
    )  # fmt: skip
    return replace(made, **changes)


def test_a_third_partys_runtime_is_found_by_its_entry_point_and_measured(onnx_artifact: Artifact) -> None:
    result = process.run_job(job(onnx_artifact, "none"), onnx_artifact)
    assert result.status == "ok", result.message
    assert result.evidence == "scripted"
    (launch,) = result.launches
    assert launch.samples.latency_ns and min(launch.samples.latency_ns) > 0


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        ("segfault", "crashed", "SIGSEGV"),
        ("exit", "crashed", "exit code 3: I leave you"),
        ("raise", "failed", "RuntimeError: the driver said no"),
        ("memory_error", "out_of_memory", "MemoryError"),
        ("unsupported", "unsupported", "use another board"),
        ("nan", "failed", "NaN or infinite"),
        ("wrong", "failed", "not torch's: relative error"),
    ],
)
def test_each_fault_has_its_status(onnx_artifact: Artifact, fault: str, status: str, says: str) -> None:
    result = process.run_job(job(onnx_artifact, fault), onnx_artifact)
    assert result.status == status
    assert says in result.message
    assert result.summary is None, "a failed measurement has no figures"
    assert jsonio.decode(Result, json.loads(jsonio.dumps(result)), "result") is not None


def test_a_hang_is_ended_by_the_time_limit(onnx_artifact: Artifact) -> None:
    """Without the limit it would hang for ever, and the test with it."""
    result = process.run_job(job(onnx_artifact, "hang", time_limit_s=4), onnx_artifact)
    assert result.status == "timeout" and "time limit of 4 s while measuring" in result.message


def test_a_leak_is_ended_by_the_memory_limit(onnx_artifact: Artifact) -> None:
    result = process.run_job(job(onnx_artifact, "leak", duration_s=50, memory_limit_mib=400), onnx_artifact)
    assert result.status == "out_of_memory"
    assert "limit of 400 MiB" in result.message


def test_garbage_on_stdout_harms_nothing(onnx_artifact: Artifact) -> None:
    result = process.run_job(job(onnx_artifact, "garbage"), onnx_artifact)
    assert result.status == "ok", result.message
    assert "garbage" in result.log_tail


def test_nothing_that_a_worker_started_outlives_it(onnx_artifact: Artifact, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    options = {"fault": "orphan", "pidfile": str(pidfile)}
    result = process.run_job(job(onnx_artifact, "orphan", options=options), onnx_artifact)
    assert result.status == "crashed"
    assert _gone(int(pidfile.read_text()))


def test_an_artifact_changed_after_planning_is_not_measured(onnx_artifact: Artifact, checkpoint: Artifact) -> None:
    result = process.run_job(job(checkpoint, "none"), onnx_artifact)
    assert result.status == "failed" and "is not the artifact of this job" in result.message


def test_after_every_fault_the_next_measurement_runs(
    edgebench: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    done = edgebench(
        "run", onnx_artifact.path, "--runtime", "faulty", "--runtime", "onnxruntime", "--duration", "0.3",
        "--launches", "1", "--workspace", tmp_path, "--json",
        env={"PYTHONPATH": str(PLUGINS), "FAULTY_FAULT": "segfault"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert {row["runtime"]: row["status"] for row in json.loads(done.stdout)} == {
        "faulty": "crashed",
        "onnxruntime": "ok",
    }
    assert "SIGSEGV" in done.stderr and "Traceback" not in done.stderr


def test_probing_survives_a_runtime_that_does_not_load() -> None:
    (probe,) = process.probe_all(["unloadable"])
    assert "faulty_runtime_that_does_not_exist" in probe.error and probe.fix


@pytest.mark.parametrize("moment_s", [0.3, 2.0])
def test_kill_minus_nine_keeps_every_finished_result(onnx_artifact: Artifact, tmp_path: Path, moment_s: float) -> None:
    """The parent is killed in the middle: what was finished is readable, nothing is half-written, no worker stays."""
    command = [
        sys.executable, "-m", "edgebench", "run", *[str(onnx_artifact.path)] * 30, "--runtime", "onnxruntime",
        "--duration", "0.2", "--warmup", "0", "--launches", "2", "--no-race", "--workspace", str(tmp_path),
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as parent:
        assert eventually(lambda: list(tmp_path.glob("results/*.json")))
        time.sleep(moment_s)
        children = psutil.Process(parent.pid).children(recursive=True)
        os.kill(parent.pid, signal.SIGKILL)
    assert all(_gone(child.pid) for child in children)
    found, problems = store.read_all(tmp_path / "results")
    assert found and not problems
    assert all(result.status == "ok" and all(launch.samples for launch in result.launches) for result in found)
    assert [(result.stop, len(result.launches)) for result in found[:-1]] == [("launches", 2)] * (len(found) - 1)
    assert (found[-1].stop, len(found[-1].launches)) in (("launches", 2), ("interrupted", 1))
    replacing.sweep_up(tmp_path / "results")  # as the next command does, where the kill came in the middle of a file
    assert {path.suffix for path in (tmp_path / "results").iterdir()} == {".json"}, "a half-written file was left"


def _gone(pid: int) -> bool:
    """Has the process ended, or does so soon? (A zombie has ended.)"""

    def ended() -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return eventually(ended)
