"""The four scenarios of MLPerf on its real LoadGen, by the real commands, on scripted latencies and a real model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Command, needed

from edgebench.specs import Artifact

FAKE = ("--runtime", "fake", "--runtime-option", "latency_ms=2")
SHORT = ("--duration", "0.5", "--warmup", "0.1")


@pytest.fixture
def run(in_process: Command, onnx_artifact: Artifact, tmp_path: Path):
    """`edgebench run` on the ONNX artifact from an empty folder, which stays empty: (process, row, LoadGen's part)."""
    empty, workspace = tmp_path / "empty", tmp_path / "workspace"
    empty.mkdir()

    def measure(*arguments: str, env: dict[str, str] | None = None):
        done = in_process("run", onnx_artifact.path, *arguments, "--json", "--workspace", workspace, cwd=empty, env=env)
        assert "Traceback" not in done.stderr
        assert list(empty.iterdir()) == []
        (row,) = json.loads(done.stdout)
        file = max((workspace / "results").glob("*.json"))  # their names sort by time
        launches = json.loads(file.read_text())["launches"]
        return done, row, launches[0]["loadgen"] if launches else None

    return measure


@pytest.fixture
def real() -> None:
    needed("mlperf_loadgen", "mlcommons-loadgen has no wheel for this machine")


@pytest.mark.usefixtures("real")
def test_single_stream_agrees_with_the_script(run) -> None:
    done, row, told = run("--scenario", "single-stream", *FAKE, *SHORT)
    assert done.returncode == 0, done.stderr
    assert row["verdict"] == "VALID" and row["status"] == "ok"
    assert row["p90_ms"] >= 2, "a sleep is never shorter"
    assert told["figures"]["p90_latency_ns"] == row["p90_ms"] * 1e6
    assert told["figures"]["queries"] == row["requests"] >= 64
    assert "Result is : VALID" in told["summary"] and "min_duration (ms): 500" in told["summary"]
    assert told["reasons"] == [] and told["hint"] == "" and told["version"]
    assert "600 s in a submission" in done.stderr


@pytest.mark.usefixtures("real")
def test_a_query_of_multi_stream_is_eight_samples(run) -> None:
    quick = ("--runtime", "fake", "--runtime-option", "latency_ms=0.5")  # LoadGen makes 662 queries, however long
    done, row, told = run("--scenario", "multi-stream", *quick, *SHORT)
    assert done.returncode == 0, done.stderr
    assert row["median_ms"] >= 8 * 0.5
    assert told["figures"]["queries"] >= told["min_queries"] == 662
    assert "samples_per_query : 8" in told["summary"]


@pytest.mark.usefixtures("real")
def test_offline_takes_one_over_the_latency(run) -> None:
    done, row, told = run("--scenario", "offline", *FAKE, *SHORT)
    assert done.returncode == 0, done.stderr
    assert 0 < row["throughput_per_s"] <= 1000 / 2
    assert row["median_ms"] is None  # all samples are sent at once
    assert told["figures"]["samples"] == row["requests"] > 100


@pytest.mark.usefixtures("real")
def test_a_server_within_its_capacity_is_valid(run) -> None:
    done, row, told = run("--scenario", "server", *FAKE, *SHORT, "--rate", "50", "--deadline-ms", "20000")
    assert done.returncode == 0, done.stderr
    assert row["verdict"] == "VALID"
    assert told["figures"]["completed_samples_per_s"] == row["throughput_per_s"]


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("rate", ["2000", "100000"])
def test_an_overloaded_server_is_told_so_in_bounded_time(run, rate: str) -> None:
    bounded = ("--time-limit", "20")  # beyond it the status would be "timeout"
    done, row, told = run("--scenario", "server", *FAKE, *SHORT, "--rate", rate, "--deadline-ms", "15", *bounded)
    assert done.returncode == 1
    assert (row["status"], row["verdict"]) == ("ok", "INVALID")
    assert "Performance constraints satisfied: NO" in row["message"] and ": --rate " in row["message"]
    assert "Performance constraints satisfied: NO" in done.stderr and "fix: " in done.stderr
    assert any("Too many outstanding queries" in reason for reason in told["reasons"])
    assert "Result is : INVALID" in told["summary"]


@pytest.mark.usefixtures("real")
def test_a_report_shows_the_verdict_and_why(run, in_process: Command, tmp_path: Path) -> None:
    run("--scenario", "server", *FAKE, *SHORT, "--rate", "5000")
    for form in ("markdown", "csv", "json"):
        text = in_process("report", "--workspace", tmp_path / "workspace", "--format", form).stdout
        assert "INVALID" in text and "Performance constraints satisfied" in text


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(
    "arguments",
    [
        ("--scenario", "single-stream"),
        ("--scenario", "multi-stream", "--batch", "8"),
        ("--scenario", "server", "--rate", "50", "--deadline-ms", "1000", "--streams", "2"),
        ("--scenario", "offline", "--batch", "4", "--streams", "2"),
    ],
)
def test_a_real_model_on_every_scenario(run, arguments: tuple[str, ...]) -> None:
    for _ in range(3):  # on a busy machine LoadGen may find its half second too short; once it has to be content
        done, row, told = run(*arguments, *SHORT, "--runtime", "ort", "--threads", "1")
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    assert row["verdict"] == "VALID" and row["evidence"] == "measured"
    assert told["figures"]


def test_without_the_library_the_fix_is_told(run, tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "mlperf_loadgen.py").write_text("raise ModuleNotFoundError(name='mlperf_loadgen')")
    done, row, told = run("--scenario", "offline", *FAKE, env={"PYTHONPATH": str(stub)})
    assert done.returncode == 1
    assert row["status"] == "unsupported" and told is None
    assert "pip install 'edgebench[mlperf]'" in row["message"]
