"""`edgebench run` in each scenario, its launches and its warnings, as a user sees them: on stdout, stderr and disk."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from conftest import PATIENCE_S, SCRIPTED_CLOCK, Command, clean_environment, eventually
from factories import make_artifact

from edgebench import artifact as folder
from edgebench.measuring import loop
from edgebench.records.result import Result
from edgebench.results import store
from edgebench.specs import Artifact, TensorSpec

QUICK = ("--warmup", "0", "--duration", "0.3", "--launches", "1")
Measure = Callable[..., tuple[dict[str, Any], Result, str]]


@pytest.fixture
def measure(in_process: Command, tmp_path: Path) -> Measure:
    """Runs one measurement; gives its row of --json, its result on disk, and what was said on stderr.

    What is scripted is measured by the scripted clock, and so comes out the same on the busiest machine.
    """

    def run(artifact: Artifact, *arguments: str, code: int = 0) -> tuple[dict[str, Any], Result, str]:
        clock = SCRIPTED_CLOCK if "fake" in arguments else {}
        done = in_process("run", artifact.path, *arguments, "--workspace", tmp_path / "runs", "--json", env=clock)
        assert done.returncode == code and "Traceback" not in done.stderr, (done.stdout, done.stderr)
        (row,), ((result,), problems) = json.loads(done.stdout), store.read_all(tmp_path / "runs" / "results")
        assert not problems
        return row, result, done.stderr

    return run


def fake(latency_ms: str) -> tuple[str, ...]:
    return ("--runtime", "fake", "--runtime-option", f"latency_ms={latency_ms}")


@pytest.fixture
def small(tmp_path: Path) -> Artifact:
    """An artifact of random weights: all that the fake runtime needs."""
    return make_artifact(tmp_path / "small")


# latency, in launches


def test_launches_are_processes_and_their_agreement_is_told(measure: Measure, small: Artifact) -> None:
    row, result, said = measure(
        small, *fake("2"), "--duration", "0.2", "--warmup", "0", "--launches", "5", "--precision-target", "0.5",
        "--max-seconds", str(PATIENCE_S),
    )  # fmt: skip
    assert (result.stop, len(result.launches), row["launches"], row["stop"]) == ("precision", 5, 5, "precision")
    assert result.summary.median_ci95_ns == pytest.approx((2_001_000, 2_001_000))
    assert row["half_width"] == pytest.approx(0, abs=1e-9)
    assert all(set(launch.samples.latency_ns) == {2_001_000} for launch in result.launches)
    assert len({launch.before["time"] for launch in result.launches}) > 1, "each launch has its own fingerprint"
    assert {len(launch.yardsticks) for launch in result.launches} == {2}, "the machine's speed, before and after"
    assert "5 launches" in said and "±" in said


def test_max_seconds_bounds_the_launches(measure: Measure, small: Artifact) -> None:
    row, result, said = measure(small, *fake("1,9"), "--duration", "0.2", "--warmup", "0", "--max-seconds", "0.001")
    assert (result.stop, row["stop"]) == ("max_seconds", "max_seconds")
    assert len(result.launches) == 1 and row["half_width"] is None
    assert "the time was up first" in said


def test_ctrl_c_between_launches_keeps_the_finished_ones(edgebench: Command, small: Artifact, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    arguments = ["run", str(small.path), *fake("2"), "--warmup", "0", "--duration", "0.4", "--launches", "50"]
    command = [sys.executable, "-m", "edgebench", *arguments, "--workspace", str(runs), "--json"]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert eventually(lambda: any(len(kept.launches) >= 2 for kept in store.read_all(runs / "results")[0]))
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130 and "Traceback" not in err, err
    ((result,), problems) = store.read_all(runs / "results")
    assert not problems and result.status == "ok" and result.stop == "interrupted"
    assert 2 <= len(result.launches) < 50 and result.summary.launches == len(result.launches)
    (row,) = json.loads(out)
    assert (row["stop"], row["launches"]) == ("interrupted", len(result.launches))
    assert "Interrupted: 0 of 1 measurements are complete" in err
    assert "stopped Ctrl-C" in " ".join(edgebench("report", "--workspace", runs).stdout.split())


def measures(pid: int) -> bool:
    """Whether the command has started a worker that measures."""
    with contextlib.suppress(psutil.Error):  # a worker may end while it is looked at
        return any("measure" in child.cmdline() for child in psutil.Process(pid).children())
    return False


def test_ctrl_c_before_the_first_launch_is_done_leaves_no_result(small: Artifact, tmp_path: Path) -> None:
    arguments = ["run", str(small.path), *fake("2"), "--duration", "30", "--workspace", str(tmp_path / "runs")]
    command = [sys.executable, "-m", "edgebench", *arguments]
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert eventually(lambda: measures(process.pid))
        time.sleep(1)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130 and b"Traceback" not in err and b"Interrupted" in err
    assert not list((tmp_path / "runs" / "results").glob("*"))


# throughput


def test_throughput_states_the_point_it_found_and_those_it_tried(measure: Measure, onnx_artifact: Artifact) -> None:
    row, result, said = measure(onnx_artifact, "--runtime", "ort", "--scenario", "throughput", "--threads", "1", *QUICK)
    assert row["scenario"] == "throughput" and row["throughput_per_s"] > 0
    tried = {(point.batch, point.streams): point.throughput_per_s for point in result.search}
    assert (row["batch"], row["streams"]) in tried and len(tried) >= 2
    assert (row["batch"], row["streams"]) == (result.job.batch, result.job.streams)
    assert all(throughput > 0 for throughput in tried.values())
    assert f"images/s at batch {row['batch']} with {row['streams']} in flight" in said
    assert result.parity.passed and result.job.batch in result.parity.batches


def test_streams_and_batch_that_are_given_are_run_without_a_search(measure: Measure, onnx_artifact: Artifact) -> None:
    fixed = ("--scenario", "throughput", "--batch", "2", "--streams", "2", "--threads", "2")
    row, result, _ = measure(onnx_artifact, "--runtime", "ort", *fixed, *QUICK)
    assert (row["batch"], row["streams"], row["threads"], result.search) == (2, 2, 2, ())
    assert result.job.streams == 2 and len(result.launches[0].samples.latency_ns) >= 2 * loop.MIN_REQUESTS_A_LANE


def test_a_runtime_without_lanes_says_so_at_the_points_it_cannot_run(measure: Measure, small: Artifact) -> None:
    row, result, _ = measure(small, *fake("5"), "--scenario", "throughput", "--batch", "1", *QUICK)
    assert (row["status"], row["streams"]) == ("ok", 1)
    assert row["throughput_per_s"] == pytest.approx(200, rel=0.01)
    refused = [point for point in result.search if point.throughput_per_s is None]
    assert all(point.streams > 1 and "one request at a time" in point.message for point in refused)
    assert len(refused) == len(result.search) - 1


# camera


def test_frames_of_a_model_slower_than_the_period_are_missed(measure: Measure, small: Artifact) -> None:
    arguments = ("--scenario", "camera", "--rate", "30", "--duration", "1", "--warmup", "0", "--launches", "1")
    row, result, said = measure(small, *fake("50"), *arguments)
    camera = result.summary.camera
    assert camera.frames == 30 and camera.deadline_ms == pytest.approx(1000 / 30)
    assert row["miss_rate"] == camera.miss_rate == 1.0
    (launch,) = result.launches
    behind_ms = [ns / 1e6 for ns in launch.samples.latency_ns]
    assert behind_ms == pytest.approx([50 + n * (50 - 1000 / 30) for n in range(30)], rel=0.01), (
        "the queue is not hidden"
    )
    assert "30 of 30 frames" in said and "from the scheduled time" in said


def test_one_slow_frame_in_ten_misses_its_deadline_alone(measure: Measure, small: Artifact) -> None:
    arguments = ("--scenario", "camera", "--rate", "5", "--deadline-ms", "60", "--duration", "4")
    slow_tenth = "5,5,80,5,5,5,5,5,5,5"
    row, result, _ = measure(small, *fake(slow_tenth), *arguments, "--warmup", "0", "--launches", "1")
    assert (result.summary.camera.frames, result.summary.camera.missed) == (20, 2)
    assert row["median_ms"] == pytest.approx(5, rel=0.01) and row["jitter_ms"] > 0


# sustained


def test_a_sustained_run_tells_the_clocks_and_finds_out_a_model_that_slows_down(
    measure: Measure, small: Artifact
) -> None:
    # A percent more with each inference.
    ramp = ",".join(f"{1.01**i:.1f}" for i in range(600))
    row, result, said = measure(small, *fake(ramp), "--scenario", "sustained", "--minutes", "0.12", "--warmup", "0")
    found = result.summary.sustained
    assert row["verdict"] == found.verdict == "slowed" and found.slowdown > 1.5  # by the scripted clock
    (launch,) = result.launches
    assert len(launch.windows) == 8, "a window for each second of 7.2 that was begun"
    assert sum(window.n for window in launch.windows) == len(launch.samples.latency_ns) == result.summary.n
    assert [w.start_s for w in launch.windows] == sorted(w.start_s for w in launch.windows)
    assert result.stop == "launches" and found.verdict in said


# what makes figures doubtful


def test_a_busy_neighbour_is_told(measure: Measure, small: Artifact) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            row, result, said = measure(small, *fake("2"), "--duration", "1.5", "--launches", "1")
        finally:
            neighbour.kill()
    (notice,) = [notice for notice in result.notices if notice.code == "foreign_load"]
    assert "foreign_load" in row["warnings"] and notice.message in " ".join(said.split())


# a model of one batch size


@pytest.fixture
def static(onnx_artifact: Artifact, tmp_path: Path) -> Artifact:
    """The ONNX artifact with its batch fixed at 1, in the file and in the manifest."""
    path = tmp_path / "static"
    path.mkdir()
    model = onnx.load(folder.model_file(onnx_artifact, ".onnx"))
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].Clear()
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    onnx.save(model, path / "model.onnx")
    folder.write_reference(path, folder.read_reference(onnx_artifact))

    def fixed(spec: TensorSpec) -> TensorSpec:
        return replace(spec, shape=(1, *spec.shape[1:]))

    made = replace(
        onnx_artifact, inputs=tuple(map(fixed, onnx_artifact.inputs)), outputs=tuple(map(fixed, onnx_artifact.outputs))
    )
    folder.write_manifest(path, made)
    return folder.read(path)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_model_of_one_batch_size_is_measured_at_that_and_refused_at_others(
    static: Artifact, measure: Measure, in_process: Command, tmp_path: Path, runtime: str
) -> None:
    row, result, _ = measure(static, "--runtime", runtime, *QUICK)
    assert row["status"] == "ok" and result.parity.batches == (1,)
    done = in_process(
        "run", static.path, "--runtime", runtime, "--batch", "4", *QUICK, "--workspace", tmp_path / "b", "--json"
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (row,) = json.loads(done.stdout)
    assert row["status"] == "unsupported" and "requests of 1, not of 4" in row["message"]
    (path,) = (tmp_path / "b" / "results").iterdir()
    assert "Traceback" not in path.read_text()


def test_a_file_whose_batch_is_not_what_its_manifest_says_gives_a_message(
    static: Artifact, onnx_artifact: Artifact, measure: Measure
) -> None:
    folder.write_manifest(static.path, replace(onnx_artifact, files=static.files, path=static.path))
    row, result, _ = measure(folder.read(static.path), "--runtime", "ort", "--batch", "4", *QUICK, code=1)
    assert row["status"] == "failed" and "refused the request" in row["message"] and "--batch" in row["message"]
    assert "Traceback" not in result.log_tail


def test_the_fake_runtime_answers_at_once_and_still_looks_at_its_inputs(small: Artifact) -> None:
    from edgebench.runtimes.fake import REMEMBERED, Fake

    from edgebench.errors import EdgebenchError
    from edgebench.specs import SessionOptions

    reference = folder.read_reference(small)
    images = folder.preprocess(reference.images, small.preprocessing)
    with Fake().open(small, "cpu", SessionOptions(extra={"latency_ms": "0"})) as session:
        for i in [*range(len(images)), 0] * REMEMBERED:  # more arrays than it remembers, all gone in between
            answer = session.run({"input": np.ascontiguousarray(images[i : i + 1])})["logits"]
            assert np.array_equal(answer, reference.logits[i : i + 1])
        kept = np.ascontiguousarray(images[:1])
        answers = {id(session.run({"input": kept})["logits"]) for _ in range(1000)}
        assert len(answers) == 1, "an array that it has seen is not looked at again"
        with pytest.raises(EdgebenchError):
            session.run({"input": kept.astype(np.float64)})
    with pytest.raises(EdgebenchError, match="closed"):
        session.run({"input": kept})
