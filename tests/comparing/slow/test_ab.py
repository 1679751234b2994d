"""`edgebench ab` and `edgebench crosscheck`, as typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE_S, SCRIPTED_CLOCK, Command, clean_environment, eventually

from edgebench.comparing import ab
from edgebench.specs import Artifact

FAKE = ("--runtime", "fake", "--runtime-option", "latency_ms=5")
SHORT = ("--max-seconds", "0.1", "--threads", "1")  # two launches, whose threads do not spin for each other


def alive(artifact: Artifact, state: str = "") -> list[str]:
    """The processes that serve bursts of this artifact, which is this test session's own; those in one of ps's states
    alone."""
    listed = subprocess.run(["ps", "-ww", "-eo", "state,pid,args"], capture_output=True, text=True, check=True).stdout
    ours = (
        "edgebench.measuring.worker bursts",
        str(artifact.path),
        clean_environment()["TMPDIR"],
    )  # not a test's beside it
    lines = [line for line in listed.splitlines() if all(part in line for part in ours)]
    return [line[1:] for line in lines if line.startswith(state)]


@pytest.fixture
def brief(in_process: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in this process, with launches of a few bursts."""
    monkeypatch.setattr(ab, "LAUNCH_S", 0.1)
    return in_process


def test_a_planted_slowdown_is_found_and_gates(brief: Command, onnx_artifact: Artifact) -> None:
    done = brief(
        "ab", onnx_artifact.path, *FAKE, "--runtime-option-b", "latency_ms=6", "--fail-on", "slower",
        "--max-seconds", "200", "--json", env=SCRIPTED_CLOCK,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "slower" and found["stop"] == "precision"
    assert [found["ratio"][name] for name in ("low", "ratio", "high")] == pytest.approx([1.2] * 3, rel=1e-3)
    assert len(found["launches"]) >= 5 and found["bursts"] >= 3 * len(found["launches"])
    assert (found["base_median_ns"], found["new_median_ns"]) == (5_001_000, 6_001_000), "and a look at the clock"
    assert not alive(onnx_artifact), "no worker outlives the command"


def test_two_runtimes_of_one_artifact_are_named(brief: Command, onnx_artifact: Artifact) -> None:
    done = brief("ab", onnx_artifact.path, "--runtime-b", "openvino", *SHORT)
    assert done.returncode == 0, done.stderr
    assert "A: onnxruntime, " in done.stdout and "B: openvino, " in done.stdout
    assert "launches, of which B ÷ A is the median: " in done.stdout


def test_another_environment_is_given_by_its_python(brief: Command, onnx_artifact: Artifact) -> None:
    done = brief("ab", onnx_artifact.path, "--python-b", sys.executable, *SHORT, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["launches"]) >= 2


def test_ctrl_c_tells_what_there_is_and_leaves_no_worker(onnx_artifact: Artifact) -> None:
    command = [sys.executable, "-m", "edgebench", "ab", str(onnx_artifact.path), *FAKE, "--json"]
    command += ["--runtime-option-b", "latency_ms=5,5,7", "--max-seconds", "300", "--band", "0.9"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        start_new_session=True,
    ) as process:
        seen: set[str] = set()

        def third_launch() -> bool:
            seen.update(alive(onnx_artifact))
            return len(seen) > 4

        assert eventually(third_launch)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert not alive(onnx_artifact)
    assert json.loads(said)["stop"] == "interrupted"


def test_a_stopped_worker_does_not_outlive_a_killed_command(onnx_artifact: Artifact) -> None:
    command = [sys.executable, "-m", "edgebench", "ab", str(onnx_artifact.path), "--max-seconds", "300"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=clean_environment(), start_new_session=True) as it:
        assert eventually(lambda: len(alive(onnx_artifact)) == 2 and alive(onnx_artifact, "T"))  # in the bursts
        it.kill()
    assert eventually(lambda: not alive(onnx_artifact))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nowhere",), 1, "nowhere does not exist"),
        (("{onnx}", "--runtime", "onnxruntim"), 2, "did you mean onnxruntime"),
        (("{checkpoint}", "--runtime", "onnxruntime"), 1, "opens checkpoint"),
        (("{onnx}", "--python-b", "/nowhere/python"), 2, "/nowhere/python is not a program"),
        (("{onnx}", "--max-seconds", "0"), 2, "--max-seconds is 0"),
        (("{onnx}", "--band", "7"), 2, "--band is 7"),
        (("{onnx}", "--batch", "0"), 2, "--batch is 0"),
        (("{onnx}", "--runtime-option", "fast"), 2, "is not KEY=VALUE"),
        (("{onnx}", "--runtime-option", "fast=1"), 2, "--runtime NAME"),
        (("{onnx}", "--runtime-option-b", "fast=1"), 2, "--runtime NAME"),
        (("{onnx}", "--runtime", "ort", "--runtime-option", "fast=1"), 2, "option of onnxruntime"),
    ],
)
def test_bad_input_gets_one_clear_message(
    in_process: Command, checkpoint: Artifact, onnx_artifact: Artifact, arguments: tuple[str, ...], code: int, says: str
) -> None:
    paths = {"checkpoint": checkpoint.path, "onnx": onnx_artifact.path}
    done = in_process("ab", *(argument.format(**paths) for argument in arguments))
    assert done.returncode == code and says in " ".join(done.stderr.split()), done.stderr
    assert done.stderr.count("Error: ") == 1 and "Traceback" not in done.stderr


def test_crosscheck_holds_us_against_a_bare_loop_and_a_whole_program(
    brief: Command, onnx_artifact: Artifact, tmp_path: Path
) -> None:
    rivals = ("--rival", "openvino-loop", "--rival", "benchmark_app", "--rival", "onnxruntime-loop")
    asked = ("--runtime", "openvino", *rivals, "--rounds", "2", "--duration", "0.3", *SHORT)
    done = brief("crosscheck", onnx_artifact.path, *asked, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loop, app, absent = json.loads(done.stdout)
    for agreement, figure in ((loop, "median_ns"), (app, "median_ns")):
        assert (agreement["figure"], agreement["reason"]) == (figure, "")
        assert agreement["ours"] > 0 and agreement["theirs"] > 0 and agreement["rounds"] >= 2
        assert agreement["ratio"]["ratio"] > 0
    assert absent["ratio"] is None and "does not run openvino" in absent["reason"], "a figure under a wrong name"
    assert not list(tmp_path.iterdir()), "benchmark_app writes its reports into the folder that it runs in"


def test_crosscheck_refuses_what_it_cannot_do(in_process: Command, onnx_artifact: Artifact) -> None:
    for arguments, says in (
        (("--rival", "benchmark_ap"), "did you mean benchmark_app"),
        (("--rounds", "1"), "--rounds is 1"),
    ):
        done = in_process("crosscheck", onnx_artifact.path, *arguments)
        assert done.returncode == 2 and says in " ".join(done.stderr.split())
