"""`edgebench tune` and `edgebench run --tuned`, as typed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import Command

from edgebench.choosing import tuning
from edgebench.choosing.tuned import Tuned
from edgebench.machine.device import available_cores
from edgebench.records import jsonio

pytestmark = pytest.mark.xdist_group("tune")  # tuned once
QUICK = ("--duration", "0.1", "--json")


@pytest.fixture(scope="module")
def tuned(edgebench: Command, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tuned]:
    """A workspace of our own in which the best of two runtimes in fp32 was found, on one core: two threads of torch
    wait for each other where there are other programs, until a launch's time is up."""
    copied = shutil.copytree(workspace, tmp_path_factory.mktemp("tune") / "runs")
    core = {max(os.sched_getaffinity(0))}
    done = edgebench(
        "tune", "--no-export", "--runtime", "torch", "--runtime", "onnxruntime", *QUICK, "--workspace", copied,
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (kept,) = (copied / "tuned").iterdir()
    assert json.loads(done.stdout) == json.loads(kept.read_text())
    return copied, jsonio.read(Tuned, kept)


def test_the_best_is_better_than_what_it_is_compared_with(tuned: tuple[Path, Tuned]) -> None:
    _, found = tuned
    assert (found.best.precision, found.eager.runtime) == ("fp32", "torch")
    assert found.best.median_ns == min(trial.median_ns for trial in found.trials)
    assert found.speedup(found.eager) == found.eager.median_ns / found.best.median_ns
    assert found.best == found.trials[0] and found.best.rounds >= 1 and not found.best.message
    assert {(trial.runtime, trial.threads) for trial in found.trials} == {("onnxruntime", 1), ("torch", 1)}


def test_run_measures_what_was_found(in_process: Command, tuned: tuple[Path, Tuned]) -> None:
    workspace, found = tuned
    short = ("--duration", "0.2", "--launches", "1", "--json", "--workspace", workspace)
    done = in_process("run", "--tuned", *short)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["runtime"], row["threads"]) == (found.best.runtime, found.best.threads)


def test_lower_precisions_need_images_and_may_lose_too_much(
    in_process: Command, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that calls itself int8, in a workspace with its checkpoint and, as on a board, in one without."""
    monkeypatch.setattr(tuning, "ROUNDS", (1.0,))  # what is not out is timed once
    (found,) = (workspace / "artifacts").glob("*-onnx")
    for name in ("desk", "board"):
        for copy in (found.name, f"{found.name}-int8"):
            shutil.copytree(found, tmp_path / name / "artifacts" / copy)
        manifest = tmp_path / name / "artifacts" / f"{found.name}-int8" / "artifact.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"precision": "int8"}))
    shutil.copytree(workspace / "checkpoints", tmp_path / "desk" / "checkpoints")

    def trials(name: str, *arguments: str) -> list[dict]:
        start, root = tmp_path / name / "artifacts" / found.name, tmp_path / name
        fixed = ("--no-export", "--runtime", "fake", *QUICK, "--workspace", root)
        done = in_process("tune", start, *fixed, *arguments)
        assert done.returncode == 0, done.stderr
        tried = json.loads(done.stdout)["trials"]
        settings = {(trial["name"], trial["threads"]) for trial in tried}
        assert len(settings) == len(tried), "each setting once"
        assert {1, available_cores()} <= {threads for _, threads in settings}
        return [trial for trial in tried if trial["precision"] == "int8"]

    out = trials("board")
    assert out and all("accuracy is unknown" in trial["message"] for trial in out)
    # The fake runtime knows the answers to the reference images alone, and so gets the validation split wrong.
    judged = trials("desk", "--accuracy-drop", "0")
    assert judged and all(trial["accuracy_drop"] > 0 and "it may lose 0 points" in trial["message"] for trial in judged)
    assert all(trial["median_ns"] is None for trial in (*out, *judged)), "what is out is not timed"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tune", "nowhere"), 1, "does not exist"),
        (("tune", "--duration", "0"), 2, "--duration is 0"),
        (("tune", "--accuracy-drop", "2"), 2, "--accuracy-drop is 2"),
        (("tune", "--runtime", "onnxruntim"), 2, "did you mean onnxruntime"),
        (("tune", "--for", "fame"), 2, "fame"),
        (("run", "--tuned", "--scenario", "throughput"), 2, "nothing was tuned for throughput"),
    ],
)
def test_bad_input(in_process: Command, tuned: tuple[Path, Tuned], arguments: tuple, code: int, says: str) -> None:
    done = in_process(*arguments, *(["--no-export"] if arguments[0] == "tune" else []), "--workspace", tuned[0])
    assert done.returncode == code and says in " ".join(done.stderr.split()), done.stderr
